"""Boundary IoU: the IoU of the bands along the edges of a class, which tells more about thin and small things.

Source: Cheng, Girshick, Dollár, Berg and Kirillov, "Boundary IoU: Improving Object-Centric Image Segmentation
Evaluation", CVPR 2021.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.labels import IGNORE_INDEX

BAND_SHARE: Final = 0.02
"""Width of a band as a share of the image's diagonal, the paper's default"""


class BoundaryIou:
    """Sums the bands of all images, each class over the whole split, as IoU does.

    Void pixels count on neither side, and an edge with void is no edge of a class, neither in the labels nor in the
    prediction, because nobody knows what lies there. As in the authors' code, the border of the image is an edge.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        self._both, self._truth, self._predicted = np.zeros((3, num_classes), np.int64)

    def add(self, predicted: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
        """Count an image.

        Args:
            predicted: Training ids, (H, W).
            truth: Training ids, (H, W), 255 for void.
        """
        predicted = np.where(truth == IGNORE_INDEX, truth, predicted)
        truth_band, predicted_band = band(truth), band(predicted)
        self._truth += self._count(truth[truth_band])
        self._predicted += self._count(predicted[predicted_band])
        self._both += self._count(truth[truth_band & predicted_band & (truth == predicted)])

    def result(self, in_labels: NDArray[np.bool_]) -> tuple[tuple[float | None, ...], float | None]:
        """Return Boundary IoU per class, and its mean over the classes in the labels; None for the other classes.

        Args:
            in_labels: Whether each class has labelled pixels, shape (C,).
        """
        union = self._truth + self._predicted - self._both
        iou = tuple(
            float(both / either) if is_there and either else None
            for both, either, is_there in zip(self._both, union, in_labels, strict=True)
        )
        known = [value for value in iou if value is not None]
        return iou, sum(known) / len(known) if known else None

    def _count(self, ids: NDArray[np.uint8]) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = np.bincount(ids, minlength=self._num_classes)[: self._num_classes]
        return counts


def band(ids: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the pixels of a class from which another class, or the image's border, is at most a band's width away.

    Two filters find the bands of all classes at once: where the largest and the smallest id in the square around a
    pixel are the pixel's own, an erosion of its class by this square would keep the pixel.

    Args:
        ids: Training ids, (H, W), 255 for void; void is in no band, and is no other class.
    """
    side = 2 * max(round(BAND_SHARE * math.hypot(*ids.shape)), 1) + 1
    square = np.ones((side, side), np.uint8)
    is_void = ids == IGNORE_INDEX
    # Ids from 1 on: 0 below them and 255 above them stand for what must never, or always, be the extreme.
    shifted = ids + np.uint8(1)
    largest = cv2.dilate(np.where(is_void, 0, shifted).astype(np.uint8), square, **_border(255))  # type: ignore[call-overload]
    smallest = cv2.erode(np.where(is_void, 255, shifted).astype(np.uint8), square, **_border(0))  # type: ignore[call-overload]
    in_band: NDArray[np.bool_] = ((largest != shifted) | (smallest != shifted)) & ~is_void
    return in_band


def _border(value: int) -> dict[str, object]:
    return {"borderType": cv2.BORDER_CONSTANT, "borderValue": value}
