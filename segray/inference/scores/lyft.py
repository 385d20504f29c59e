"""The scores of the Lyft and Udacity Perception Challenge of 2018, on CARLA: F2 of vehicles, F0.5 of the road, mean.

Source: the challenge's pages and its grader: F-beta of all pixels of all frames together, beta 2 for vehicles and 0.5
for the road, which includes lane markings; the score is the mean of both, here without the penalty for less than 10
frames per second.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import numpy as np

from segray.inference.scores.image import JudgedImage
from segray.labels import LabelSpace
from segray.metrics import confusion_matrix
from segray.split_scores import BenchmarkScores


class _Group(NamedTuple):
    """Classes that the challenge judges as one."""

    beta: float
    classes: tuple[str, ...]


_GROUPS: Final[dict[str, _Group]] = {"vehicle": _Group(2, ("Vehicles",)), "road": _Group(0.5, ("Roads", "RoadLines"))}
NOTE: Final = (
    "As the challenge scored frames, without its penalty for speed. It did not count the bonnet of the car with the "
    "camera as a vehicle: data.classes challenge leaves the bonnet out of the labels, data.classes raw does not."
)


class LyftScores:
    """Counts pixels by true and predicted class, and scores vehicles and road.

    Args:
        label_space: The classes, which are CARLA's.
    """

    def __init__(self, label_space: LabelSpace) -> None:
        self._names = label_space.names
        self._confusion = np.zeros((len(self._names),) * 2, np.int64)

    @classmethod
    def of(cls, label_space: LabelSpace) -> Self | None:
        """Return the scores for these classes; None if they lack vehicles or road."""
        needed = {group.classes[0] for group in _GROUPS.values()}
        return cls(label_space) if needed <= set(label_space.names) else None

    def add(self, image: JudgedImage) -> None:
        """Count an image."""
        self._confusion += confusion_matrix(image.predicted_HW, image.judged_HW, len(self._names)).cpu().numpy()

    def result(self) -> BenchmarkScores:
        """Return F-score, precision and recall of both groups, and the mean of the F-scores."""
        table = {name: self._scores(group) for name, group in _GROUPS.items()}
        f_scores = [row["F"] for row in table.values()]
        mean = sum(f_scores) / len(f_scores) if None not in f_scores else None  # type: ignore[arg-type]
        return BenchmarkScores(title="Lyft Perception Challenge", note=NOTE, summary={"mean F": mean}, table=table)

    def _scores(self, group: _Group) -> dict[str, float | None]:
        ids = [index for index, name in enumerate(self._names) if name in group.classes]
        hits = int(self._confusion[np.ix_(ids, ids)].sum())
        predicted, labelled = int(self._confusion[:, ids].sum()), int(self._confusion[ids].sum())
        return {
            "beta": group.beta,
            "F": f_beta(hits, predicted, labelled, group.beta),
            "precision": hits / predicted if predicted else None,
            "recall": hits / labelled if labelled else None,
        }


def f_beta(hits: int, predicted: int, labelled: int, beta: float) -> float | None:
    """Return the weighted harmonic mean of precision and recall; None if the class is nowhere.

    Args:
        hits: Pixels that are predicted and labelled as the class.
        predicted: Pixels that are predicted as the class.
        labelled: Pixels that are labelled as the class.
        beta: How many times as much recall counts as precision.
    """
    weighted = beta**2 * labelled + predicted
    return (1 + beta**2) * hits / weighted if weighted else None
