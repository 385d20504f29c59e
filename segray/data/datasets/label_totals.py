"""Checks on all labels of a data set together, which no single file can fail: too few classes, wrong kind of ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.cityscapes import LABELS
from segray.data.datasets.dataset import Dataset
from segray.data.datasets.gta5 import LICENSE_PLATE_ID
from segray.labels import IGNORE_INDEX, LabelSpace


class LabelTotals(NamedTuple):
    """The label pixels of some images together."""

    classes: NDArray[np.int64]
    """Pixels of each class, in training-id order"""
    void: int
    """Pixels of void"""


def total_problems(dataset: Dataset, whole: LabelTotals, splits: Mapping[str, LabelTotals]) -> list[str]:
    """Return the reasons why nothing can be learnt or judged with these labels.

    Args:
        dataset: The data set of the labels.
        whole: Totals of all labelled images.
        splits: Totals of the images that train and of those that validate, by split; a split may be missing.
    """
    space = dataset.label_space
    hint = dataset.void_hint if whole.void else ""
    too_few = _too_few(space, "all labels", whole, hint or "use labels that hold more classes")
    if not too_few:
        for split, totals in splits.items():
            too_few += _too_few(
                space, f"the labels of {split}", totals, "divide the images in another way, see data.split"
            )
    return too_few + _like_training_ids(space, whole)


def _too_few(space: LabelSpace, which: str, totals: LabelTotals, fix: str) -> list[str]:
    held = [name for name, pixels in zip(space.names, totals.classes.tolist(), strict=True) if pixels]
    if len(held) > 1 or not totals.classes.sum() + totals.void:
        return []
    if totals.void:
        ids = [raw for raw, train in space.raw_to_train.items() if train == IGNORE_INDEX]
        held.append(f"void ({ids[0]})" if len(ids) == 1 else "void")
    return [
        f"{which} together hold only {' and '.join(held)}, but must hold at least 2 classes: a model that gives the "
        f"same answer everywhere would score 100 %; {fix}"
    ]


def _like_training_ids(space: LabelSpace, totals: LabelTotals) -> list[str]:
    """Return a problem if files of Cityscapes label ids may hold training ids, 0 to 18, all of which are label ids."""
    if space.raw_to_train.keys() - {LICENSE_PLATE_ID} != {label_id for label_id, *_ in LABELS}:
        return []
    num_training_ids = sum(train_id != IGNORE_INDEX for _, _, train_id, _ in LABELS)
    low = {train for raw, train in space.raw_to_train.items() if raw < num_training_ids}
    high = sorted({*space.raw_to_train.values()} - low - {IGNORE_INDEX})
    if totals.classes[high].any():
        return []
    return [
        f"no label holds an id above {num_training_ids - 1}, so there is no "
        f"{', no '.join(space.names[train] for train in high)}: the files may hold training ids, but must hold "
        "label ids, in which 7 is road and 23 is sky"
    ]
