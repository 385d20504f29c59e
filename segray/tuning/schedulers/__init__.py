"""Who stops weak trials early."""

from __future__ import annotations

from ray.tune.schedulers import TrialScheduler

from segray.storage import SweepFiles
from segray.tuning.schedulers.asha import Asha
from segray.tuning.schedulers.none import Fifo
from segray.tuning.sweep import SchedulerName


def make_scheduler(
    kind: SchedulerName, sweep: SweepFiles, *, max_epochs: int, grace_epochs: int, reduction_factor: float
) -> TrialScheduler:
    """The scheduler of a name.

    Args:
        kind: "asha" for asynchronous successive halving (Li et al. 2020), "none" to train every trial to its end.
        sweep: The sweep's files, those of earlier starts among them.
        max_epochs: No trial runs longer.
        grace_epochs: No trial is stopped before it has completed so many.
        reduction_factor: One in so many trials passes each rung.
    """
    if kind == "none":
        return Fifo()
    return Asha(sweep, max_t=max_epochs, grace_period=min(grace_epochs, max_epochs), reduction_factor=reduction_factor)
