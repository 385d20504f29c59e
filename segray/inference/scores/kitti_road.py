"""The scores of the KITTI Road benchmark: MaxF, AP, and precision, recall and error rates where F is largest.

Source: Fritsch, Kühnl and Geiger, "A New Performance Measure and Evaluation Benchmark for Road Detection Algorithms",
ITSC 2013, and the benchmark's development kit: 256 thresholds of the confidence of the road, which a submission stores
in 8 bits; counts of all pixels of all images together; AP is the mean of the best precision at 11 values of recall, as
in Pascal VOC. The benchmark's server first maps the confidence into bird's eye view, where far pixels count more.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from segray.inference.scores.image import JudgedImage
from segray.labels import LabelSpace
from segray.split_scores import BenchmarkScores

NUM_THRESHOLDS: Final = 256
ROAD: Final = "road"
ALL: Final = "URBAN"
"""All images together; the benchmark's categories are UM, UMM and UU, the beginning of the images' names"""
NOTE: Final = (
    "In the image. The benchmark's server scores in bird's eye view, so its figures differ: there, a far pixel covers "
    "more of the road and counts more."
)


class KittiRoadScores:
    """Counts the pixels of road and not road by the confidence of the road, for each category of images.

    Args:
        road_id: Training id of the road.
    """

    def __init__(self, road_id: int) -> None:
        self._road_id = road_id
        self._counts: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros((2, NUM_THRESHOLDS), np.int64))

    @classmethod
    def of(cls, label_space: LabelSpace) -> Self | None:
        """Return the scores for these classes; None if there is no road."""
        return cls(label_space.names.index(ROAD)) if ROAD in label_space.names else None

    def add(self, image: JudgedImage) -> None:
        """Count an image."""
        levels_HW = (image.probability(self._road_id) * (NUM_THRESHOLDS - 1)).round().long()
        category = image.pair.name.partition("_")[0].upper()
        for row, is_row_HW in enumerate((image.judged_HW != self._road_id, image.judged_HW == self._road_id)):
            levels = levels_HW[is_row_HW & image.is_labelled]
            self._counts[category][row] += torch.bincount(levels, minlength=NUM_THRESHOLDS).cpu().numpy()

    def result(self) -> BenchmarkScores:
        """Return the scores of each category and of all images."""
        groups = {**dict(sorted(self._counts.items())), ALL: sum(self._counts.values(), np.zeros((2, 256), np.int64))}
        table = {name: road_scores(*counts) for name, counts in groups.items()}
        summary = {name: table[ALL][name] for name in ("MaxF", "AP")}
        return BenchmarkScores(title="KITTI Road", note=NOTE, summary=summary, table=table)


def road_scores(others: NDArray[np.int64], road: NDArray[np.int64]) -> dict[str, float | None]:
    """Return MaxF and AP, and precision, recall, false positive and false negative rate at MaxF's threshold.

    Args:
        others: Pixels that are not road by the level of the road's confidence, shape (256,).
        road: Pixels of the road by level, shape (256,).
    """
    names = ("MaxF", "AP", "PRE", "REC", "FPR", "FNR", "threshold")
    # A pixel is predicted as road from a threshold on, as in the development kit.
    hits, false_alarms = (np.cumsum(counts[::-1])[::-1] for counts in (road, others))
    if not hits[0]:
        return dict.fromkeys(names)
    used = hits > 0
    recall = hits[used] / hits[0]
    precision = hits[used] / (hits[used] + false_alarms[used])
    f_scores = 2 * precision * recall / (precision + recall)
    best = int(f_scores.argmax())
    average = np.mean([precision[recall >= least].max() for least in np.arange(0, 1.1, 0.1)])
    rate = false_alarms[used][best] / false_alarms[0] if false_alarms[0] else None
    values = (f_scores[best], average, precision[best], recall[best], rate, 1 - recall[best])
    threshold = int(np.flatnonzero(used)[best]) / (NUM_THRESHOLDS - 1)
    return dict(zip(names, (*(None if value is None else float(value) for value in values), threshold), strict=True))
