"""Early stopping: ASHA on completed epochs, its rungs rebuilt from a sweep's files when it is resumed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from segray.storage import BASELINE_ID, SweepFiles
from segray.tuning.slot import TUNE_METRIC
from segray.tuning.sweep import SchedulerName


class Asha(ASHAScheduler):
    """ASHA that never stops the baseline, though its results count for the others, and that knows earlier starts.

    Tune does not keep a scheduler's rungs: they are filled from the sweep's files, those of a trial that goes on
    under its own id.
    """

    def __init__(self, sweep: SweepFiles, **options: Any) -> None:
        super().__init__(time_attr="epoch", metric=TUNE_METRIC, mode="max", **options)
        self._sweep = sweep
        for files in sweep.trials():
            if files.outcome() is not None:
                self.on_trial_add(None, SimpleNamespace(trial_id=f"earlier-{files.id}", config={"trial": files.id}))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a trial in, with what it reached in earlier starts."""
        super().on_trial_add(tune_controller, trial)
        for record in self._sweep.trial(trial.config["trial"]).records():
            if record.best_val_miou is not None:
                result = {"epoch": record.epoch, TUNE_METRIC: record.best_val_miou}
                super().on_trial_result(tune_controller, trial, result)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        decision: str = super().on_trial_result(tune_controller, trial, result)
        return TrialScheduler.CONTINUE if trial.config["trial"] == BASELINE_ID else decision


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
        return FIFOScheduler()
    return Asha(sweep, max_t=max_epochs, grace_period=min(grace_epochs, max_epochs), reduction_factor=reduction_factor)
