"""The prediction of a photo with a trained model, and an overlay of the predicted classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from segray.config import RunConfig
from segray.data.files.decode import read_photo
from segray.data.files.encode import check_picture, write_picture
from segray.engine.checkpoint import load_model
from segray.labels import LabelSpace
from segray.models import SegmentationModel
from segray.objective import Objective
from segray.storage import open_sweep

OVERLAY_OPACITY = 0.55


class PredictedPhoto(NamedTuple):
    """The prediction of a photo, as an overlay that was written."""

    trial: str
    """Id of the trial whose model predicted it"""
    objective: Objective
    score: float | None
    """The trial's best score"""
    shares: dict[str, float]
    """Class -> share of the pixels, the largest first; without classes that were predicted nowhere"""


def predict_file(sweep: str, photo: Path, overlay: Path) -> PredictedPhoto:
    """Predict a photo with the model of a sweep's best trial, and write an overlay of the classes' colours.

    Args:
        sweep: Folder or URL of the sweep.
        photo: An image file of any size.
        overlay: PNG or JPEG file to write, of the photo's size.

    Returns:
        The trial, its best score, and the shares of the predicted classes.

    Raises:
        StorageError: There is no sweep or no trained model, or the overlay cannot be written.
        DataError: The photo cannot be read or decoded.
    """
    check_picture(overlay, inputs=[photo])
    files = open_sweep(sweep)
    trial, pointer = files.best()
    model, config, label_space = load_model(trial.folder.child(pointer.checkpoint))
    target = check_picture(overlay, data_root=config.data.root)
    photo_HWC = read_photo(photo)
    labels_HW = predict(model, photo_HWC, config)
    write_picture(target, draw_overlay(photo_HWC, labels_HW, label_space))
    shares = np.bincount(labels_HW.ravel(), minlength=label_space.num_classes) / labels_HW.size
    seen = {label_space.names[index]: float(shares[index]) for index in np.argsort(-shares) if shares[index]}
    return PredictedPhoto(trial.id, files.info().objective, pointer.record.best_score, seen)


@torch.inference_mode()
def predict(model: SegmentationModel, photo_HWC: np.ndarray, config: RunConfig) -> np.ndarray:
    """Return the predicted training id of every pixel, at the photo's own size.

    The photo is resized to the size of training and validation, and the logits are resized back.

    Args:
        model: A model in eval mode.
        photo_HWC: RGB, uint8.
        config: The model's run config; ``data.resize_px`` is the size of training.

    Returns:
        (H, W) uint8.
    """
    photo_1CHW = torch.tensor(photo_HWC).permute(2, 0, 1)[None].float()
    if config.data.resize_px is not None:
        photo_1CHW = F.interpolate(
            photo_1CHW, config.data.resize_px, mode="bilinear", antialias=True, align_corners=False
        )
    logits_1CHW = model(photo_1CHW)
    logits_1CHW = F.interpolate(logits_1CHW, photo_HWC.shape[:2], mode="bilinear", align_corners=False)
    labels_HW: np.ndarray = logits_1CHW.argmax(dim=1)[0].to(torch.uint8).numpy()
    return labels_HW


def draw_overlay(photo_HWC: np.ndarray, labels_HW: np.ndarray, label_space: LabelSpace) -> np.ndarray:
    """Return the photo with the classes' colours over it, (H, W, 3) uint8."""
    colors_HWC = label_space.palette()[labels_HW]
    blended = OVERLAY_OPACITY * colors_HWC + (1 - OVERLAY_OPACITY) * photo_HWC
    rounded: np.ndarray = np.rint(blended).astype(np.uint8)
    return rounded
