"""Early stopping: ASHA on completed epochs, its rungs rebuilt from a sweep's files when it is resumed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from segray.storage import SweepFiles
from segray.tuning.slot import TUNE_METRIC

BASELINE_ID = "0000"
"""The first trial: the report measures the search against it, so it is trained to its end."""


class Asha(ASHAScheduler):
    """ASHA that never stops the baseline, though its results count for the others."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        decision: str = super().on_trial_result(tune_controller, trial, result)
        return TrialScheduler.CONTINUE if trial.config["trial"] == BASELINE_ID else decision


def make_scheduler(
    kind: Literal["asha", "none"], *, max_epochs: int, grace_epochs: int, reduction_factor: float
) -> TrialScheduler:
    """The scheduler of a name.

    Args:
        kind: "asha" for asynchronous successive halving (Li et al. 2020), "none" to train every trial to its end.
        max_epochs: No trial runs longer.
        grace_epochs: No trial is stopped before it has completed so many.
        reduction_factor: One in so many trials passes each rung.
    """
    if kind == "none":
        return FIFOScheduler()
    return Asha(
        time_attr="epoch",
        metric=TUNE_METRIC,
        mode="max",
        max_t=max_epochs,
        grace_period=min(grace_epochs, max_epochs),
        reduction_factor=reduction_factor,
    )


def replay(scheduler: TrialScheduler, sweep: SweepFiles) -> None:
    """Tell a new scheduler what earlier trials reached, as Tune would have. Unfinished trials tell it themselves."""
    if isinstance(scheduler, FIFOScheduler):
        return
    for files in sweep.trials():
        if files.outcome() is None:
            continue
        trial = SimpleNamespace(trial_id=f"earlier-{files.id}", config={"trial": files.id})
        scheduler.on_trial_add(None, trial)
        for record in files.records():
            if record.best_val_miou is not None:
                scheduler.on_trial_result(None, trial, {"epoch": record.epoch, TUNE_METRIC: record.best_val_miou})
