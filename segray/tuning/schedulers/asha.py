"""Early stopping: ASHA on completed epochs, its rungs rebuilt from a sweep's files when it is resumed."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from segray.storage import BASELINE_ID, SweepFiles
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.schedulers.none import Fifo


class Asha(ASHAScheduler):
    """ASHA that never stops the baseline, though its results count for the others, and that misses no epoch.

    Tune does not keep a scheduler's rungs: they are filled from the sweep's files, under the trials' own ids. So are
    epochs that a worker wrote before it died, and could not hand over.
    """

    def __init__(self, sweep: SweepFiles, **options: Any) -> None:
        super().__init__(time_attr="epoch", metric=TUNE_METRIC, mode="max", **options)
        self._sweep = sweep
        self._epochs: dict[str, int] = {}
        for files in sweep.trials():
            self.on_trial_add(None, SimpleNamespace(config={"trial": files.id}))

    choose_trial_to_run = Fifo.choose_trial_to_run

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a trial in, with all epochs of earlier starts."""
        named = _by_id(trial)
        super().on_trial_add(tune_controller, named)
        self._epochs.setdefault(named.trial_id, 0)
        self._catch_up(named, before=math.inf)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        named = _by_id(trial)
        decisions = self._catch_up(named, before=result["epoch"])
        decisions.append(super().on_trial_result(tune_controller, named, result))
        self._epochs[named.trial_id] = result["epoch"]
        stop: str = TrialScheduler.STOP
        return stop if stop in decisions and named.trial_id != BASELINE_ID else str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep a trial's last epochs."""
        named = _by_id(trial)
        self._catch_up(named, before=result["epoch"] or math.inf)
        super().on_trial_complete(tune_controller, named, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Let go of a trial that ended with an error."""
        super().on_trial_remove(tune_controller, _by_id(trial))

    def _catch_up(self, trial: Any, before: float) -> list[str]:
        """Decide on the epochs of a trial's files that were never handed over."""
        decisions: list[str] = []
        if self._epochs[trial.trial_id] + 1 >= before:
            return decisions
        for record in self._sweep.trial(trial.trial_id).records():
            if record.best_val_miou is not None and self._epochs[trial.trial_id] < record.epoch < before:
                result = {"epoch": record.epoch, TUNE_METRIC: record.best_val_miou}
                decisions.append(super().on_trial_result(None, trial, result))
                self._epochs[trial.trial_id] = record.epoch
        return decisions


def _by_id(trial: Any) -> SimpleNamespace:
    """A Tune trial under segray's id, which stays the same over all starts of the sweep."""
    return SimpleNamespace(trial_id=trial.config["trial"], config=trial.config)
