"""The evaluation of a model on labelled images, at the labels' own size: predictions are resized, not labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segray.activity import LINE_SECONDS, Throttle
from segray.engine.determinism import deterministic
from segray.errors import DataError
from segray.inference.predictor import Predictor
from segray.inference.scores.sums import SplitSums, TrainingSizeSums
from segray.inference.split_data import LabelledImage, SplitData
from segray.inference.training_size import batch_size, class_pixels
from segray.losses import build_loss
from segray.objective import MIOU
from segray.split_scores import SplitScores

Announce = Callable[[str], None]


class Sums(Protocol):
    """Sums scores over images."""

    def add(self, image: LabelledImage, logits_CHW: Tensor) -> None:
        """Count an image.

        Args:
            image: The image with its labels, at their own size.
            logits_CHW: The model's logits, at the size that it was trained on.
        """


def evaluate_split(model: Predictor, data: SplitData, announce: Announce, others: Sequence[Sums] = ()) -> SplitScores:
    """Evaluate a model on labelled images, at the labels' own size.

    Args:
        model: The model.
        data: The images.
        announce: Called with lines on progress.
        others: Also told of every image and its logits.

    Raises:
        DataError: A file cannot be used, or no pixel of the labels is of a class.
    """
    pixels = class_pixels(model, data, announce)
    loss = None if pixels is None else build_loss(model.config.loss, pixels).to(model.device)
    sums = SplitSums(data, loss)
    at_training_size = None if model.config.data.resize_px is None else TrainingSizeSums(data.scoring)
    predict_split(model, data, [sums, *([at_training_size] if at_training_size else []), *others], announce)
    if not sums.has_labels:
        raise DataError(
            f"the {data.split} labels of {data.config.dataset} must have a pixel of a class, but those of all "
            f"{len(data)} images are void; check the label files"
        )
    pointer = model.location.pointer if model.location else None
    trial = model.location.trial if model.location else None
    return SplitScores(
        split=data.split,
        trial=trial.id if trial else "",
        epoch=pointer.record.epoch if pointer else 0,
        label_size="own",
        training_px=model.config.data.resize_px,
        miou_at_training_size=at_training_size.miou() if at_training_size else None,
        recorded_val_miou=pointer.record.scores.get(MIOU.name) if pointer else None,
        dataset="" if data.is_own else data.config.dataset,
        predicted_by=model.way,
        device=model.device.type,
        evaluated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **sums.scores(),
    )


def predict_split(
    model: Predictor,
    data: SplitData,
    sums: list[Sums],
    announce: Announce,
    change: Callable[[LabelledImage], NDArray[np.uint8]] = lambda image: image.photo,
) -> None:
    """Predict all images and add each to some sums.

    Args:
        model: The model.
        data: The images.
        sums: What the images are added to.
        announce: Called with a line on progress every ``LINE_SECONDS``.
        change: Returns the photo to predict, such as one with rain in it.

    Raises:
        DataError: A file cannot be used.
    """
    done, throttle, images = 0, Throttle(LINE_SECONDS), data.images()
    size = batch_size(model.config, data)
    with torch.inference_mode(), deterministic(model.config.train.deterministic):
        while batch := list(islice(images, size)):
            for image, logits_CHW in zip(batch, model.logits([change(image) for image in batch]), strict=True):
                for each in sums:
                    each.add(image, logits_CHW)
            done += len(batch)
            if done < len(data) and throttle.is_due():
                announce(f"judged {done} of {len(data)} images")
