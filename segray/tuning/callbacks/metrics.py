"""The metrics of an epoch, under the same names in every tracker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segray.records import EpochRecord

_NO_METRICS = {"epoch", "attempt", "val_iou"}


def epoch_metrics(record: EpochRecord, classes: Sequence[str]) -> dict[str, float]:
    """Return the values of an epoch by name; values that could not be computed are left out.

    Args:
        record: The epoch.
        classes: The names of the classes in training-id order.

    Returns:
        The fields of ``EpochRecord``, and ``val_iou/CLASS`` for each class.
    """
    fields = record.model_dump(exclude=_NO_METRICS)
    iou = {f"val_iou/{name}": value for name, value in zip(classes, record.val_iou, strict=True)}
    return {name: float(value) for name, value in (fields | iou).items() if value is not None}
