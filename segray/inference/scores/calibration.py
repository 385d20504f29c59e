"""Calibration: whether a model that is 90 % sure is right in 90 % of the cases.

Sources: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, for the expected
calibration error (ECE) in equal bins; Gupta and Ramdas, "Top-label calibration and multiclass-to-binary reductions",
ICLR 2022, for the error of each predicted class.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from segray.inference.scores.image import JudgedImage
from segray.split_scores import CalibrationScores, ConfidenceBin

NUM_BINS: Final = 15
"""Number of equal parts of 0 to 1, as in Guo et al."""


class Calibration:
    """Sums confidence and hits of all labelled pixels, by predicted class and bin of confidence.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        self._shape = (num_classes, NUM_BINS)
        self._pixels, self._hits = np.zeros((2, *self._shape), np.int64)
        self._confidence = np.zeros(self._shape)

    def add(self, image: JudgedImage) -> None:
        """Count an image."""
        labelled = image.is_labelled
        predicted, confidence = image.predicted_HW[labelled], image.confidence()[labelled]
        bins = (confidence * NUM_BINS).long().clamp_(max=NUM_BINS - 1)
        cells = predicted * NUM_BINS + bins
        hits = predicted == image.judged_HW[labelled]
        size = self._shape[0] * NUM_BINS
        self._pixels += _counts(cells, size).reshape(self._shape)
        self._hits += _counts(cells[hits], size).reshape(self._shape)
        # Summed in float64 on the CPU: some devices have no float64, and float32 loses the last of a million pixels.
        self._confidence += np.bincount(cells.cpu(), confidence.cpu(), minlength=size).reshape(self._shape)

    def result(self) -> CalibrationScores:
        """Return the errors, overall and over the pixels that are predicted as each class, and the bins."""
        pixels, confidence, hits = self._pixels.sum(axis=0), self._confidence.sum(axis=0), self._hits.sum(axis=0)
        total = max(int(pixels.sum()), 1)
        return CalibrationScores(
            ece=_error(pixels, confidence, hits),
            class_ece=tuple(map(_error, self._pixels, self._confidence, self._hits)),
            bins=tuple(
                ConfidenceBin(
                    share=int(count) / total,
                    confidence=float(sure / count) if count else None,
                    accuracy=float(right / count) if count else None,
                )
                for count, sure, right in zip(pixels, confidence, hits, strict=True)
            ),
        )


def _error(pixels: NDArray[np.int64], confidence: NDArray[np.float64], hits: NDArray[np.int64]) -> float | None:
    """Return the mean gap of confidence and accuracy over bins, weighted by their pixels; None without pixels."""
    return float(np.abs(confidence - hits).sum() / pixels.sum()) if pixels.any() else None


def _counts(cells: torch.Tensor, size: int) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = torch.bincount(cells, minlength=size).cpu().numpy()
    return counts
