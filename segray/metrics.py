"""Scores of a confusion matrix: mIoU, per-class IoU and accuracies; pure functions.

Shape suffixes: B images, H height, W width, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segray.errors import DataError
from segray.labels import IGNORE_INDEX
from segray.objective import CLASS_IOU


class Scores(NamedTuple):
    """The scores of one confusion matrix, in 0..1; None where a score is undefined."""

    miou: float | None
    """Mean IoU over the classes that have labelled pixels, whatever the predictions"""
    iou: tuple[float | None, ...]
    """IoU = TP / (TP + FP + FN) by training id; None for a class without labelled pixels"""
    pixel_accuracy: float | None
    """Share of labelled pixels that are predicted right"""
    mean_class_accuracy: float | None
    """Mean recall over the classes that have labelled pixels"""
    frequency_weighted_iou: float | None
    """Mean of the IoUs, weighted by the classes' shares of the labelled pixels"""


def confusion_matrix(predictions_BHW: Tensor, labels_BHW: Tensor, num_classes: int) -> Tensor:
    """Count pixels by true and predicted class.

    The sum of the matrices of several batches or ranks is the matrix of the whole split.

    Args:
        predictions_BHW: Training ids in ``0..num_classes - 1``, any integer dtype.
        labels_BHW: Training ids or ``IGNORE_INDEX``, any integer dtype, same shape and device.
        num_classes: Number of classes.

    Returns:
        Shape (C, C), int64, on the tensors' device; rows are truth, columns are predictions.

    Raises:
        ValueError: A label or a prediction is outside its range.
    """
    num_rows = max(num_classes, IGNORE_INDEX + 1)
    _check_range("predictions", predictions_BHW, num_classes)
    _check_range("labels", labels_BHW, num_rows)
    # Counting a row for every possible label, void included, is ten times as fast as masking void pixels.
    bins = (labels_BHW.to(torch.int32) * num_classes).add_(predictions_BHW).flatten()
    rows = torch.bincount(bins, minlength=num_rows * num_classes).view(num_rows, num_classes)
    occupied = rows.sum(dim=1).nonzero().flatten().tolist()
    wrong = [label for label in occupied if label >= num_classes and label != IGNORE_INDEX]
    if wrong:
        raise ValueError(f"labels must be below {num_classes} or {IGNORE_INDEX}, but got {wrong}")
    return rows[:num_classes].clone()


def scores(confusion: Tensor) -> Scores:
    """Return the scores of a confusion matrix.

    Means are taken over the classes that have labels, so models that are evaluated on the same labels have means over
    the same classes. A pixel that is predicted as a class without labels counts as a miss of its true class.

    Args:
        confusion: Shape (C, C), rows truth, columns predictions, from ``confusion_matrix``.
    """
    counts = confusion.cpu().numpy().astype(np.float64)
    right, truth, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    labelled = truth.sum()
    iou = _ratios(right, np.where(truth > 0, truth + predicted - right, 0))
    recall = _ratios(right, truth)
    return Scores(
        miou=_mean(iou),
        iou=tuple(iou),
        pixel_accuracy=float(right.sum() / labelled) if labelled else None,
        mean_class_accuracy=_mean(recall),
        frequency_weighted_iou=float(np.nansum(np.array(iou, dtype=float) * truth) / labelled) if labelled else None,
    )


def scores_by_name(found: Scores, classes: Sequence[str]) -> dict[str, float | None]:
    """Return the scores of a validation under the names that an epoch's record has for them.

    Args:
        found: The scores.
        classes: The classes' names in training-id order.
    """
    return {
        "val_miou": found.miou,
        "val_pixel_accuracy": found.pixel_accuracy,
        "val_mean_class_accuracy": found.mean_class_accuracy,
        "val_frequency_weighted_iou": found.frequency_weighted_iou,
        **{CLASS_IOU + name: iou for name, iou in zip(classes, found.iou, strict=True)},
    }


def majority_class_scores(
    train_class_pixels: Sequence[int] | np.ndarray, val_class_pixels: Sequence[int] | np.ndarray
) -> tuple[int, Scores]:
    """Return the baseline without a model, which predicts the most frequent training class everywhere.

    Args:
        train_class_pixels: Pixels of each class in the training split.
        val_class_pixels: Pixels of each class in the validation split.

    Returns:
        Training id of the class, and the validation scores; each labelled pixel of another class is a false positive.

    Raises:
        DataError: The validation split has no labelled pixel.
    """
    majority = int(np.argmax(train_class_pixels))
    confusion = np.zeros((len(val_class_pixels), len(val_class_pixels)), dtype=np.int64)
    confusion[:, majority] = val_class_pixels
    found = scores(torch.from_numpy(confusion))
    if found.miou is None:
        raise DataError("the validation split must have labelled pixels, but all are void; check its label files")
    return majority, found


def _check_range(what: str, ids: Tensor, end: int) -> None:
    if ids.numel() == 0:
        return
    least, most = (int(value) for value in ids.aminmax())
    if least < 0 or most >= end:
        raise ValueError(f"{what} must be at least 0 and below {end}, but got {least if least < 0 else most}")


def _ratios(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    return [float(p / w) if w > 0 else None for p, w in zip(part, whole, strict=True)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
