"""The metrics of an epoch, under the same names in every tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segray.objective import Objective
    from segray.records import EpochRecord

_NO_METRICS = {"epoch", "attempt", "scores", "val_iou", "best_score"}


def epoch_metrics(record: EpochRecord, objective: Objective) -> dict[str, float]:
    """Return the values of an epoch by name; values that could not be computed are left out.

    Args:
        record: The epoch.
        objective: The score whose best value so far is one of them, such as ``best_val_miou``.

    Returns:
        The fields of ``EpochRecord``, with each score under its own name.
    """
    values = record.model_dump(exclude=_NO_METRICS) | record.scores | {objective.column: record.best_score}
    return {name: float(value) for name, value in values.items() if value is not None}
