"""The driver's side of a running sweep: verdicts to the workers, outcomes to the files, progress to the person."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune

from segray.config import RunConfig
from segray.storage import Outcome, SweepFiles, SweepState
from segray.tuning.progress import Progress, RunningTrial, View, shown
from segray.tuning.slot import TUNE_METRIC

STATE_SECONDS = 5.0
"""How often state.json says that the sweep is alive."""


class Stop(tune.Stopper):
    """Ends the sweep when its time is spent or someone asked; workers hear of it through the channel first."""

    def __init__(self, channel: Any, deadline: float | None) -> None:
        self._channel, self._deadline = channel, deadline
        self._told = False
        self.asked = False
        """Set by a signal handler"""

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's signature
        """Never stops a single trial."""
        return False

    def stop_all(self) -> bool:
        """Whether to end now."""
        if not self.asked and not self.out_of_time:
            return False
        if not self._told:
            ray.get(self._channel.interrupt.remote())
            self._told = True
        return True


class Conductor(tune.Callback):
    """Called by Tune in the driver, by keyword, at every event of the sweep."""

    def __init__(
        self,
        channel: Any,
        sweep: SweepFiles,
        base: RunConfig,
        progress: Progress,
        view: View,
        seconds_before: float,
    ) -> None:
        self._channel, self._sweep, self._base = channel, sweep, base
        self._progress, self._view, self._seconds_before = progress, view, seconds_before
        self._next_state = 0.0

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles all it is given for a restore of its own, which segray has no use for.
        return {}

    def on_trial_start(self, trial: Any, **_: Any) -> None:
        """A trial has a slot."""
        trial_id, values = trial.config["trial"], trial.config["values"]
        epochs = values.get("train.epochs", self._base.train.epochs)
        self._progress.running[trial_id] = RunningTrial(trial_id, values, epochs)
        self._view.refresh()

    def on_trial_result(self, trial: Any, result: Mapping[str, Any], **_: Any) -> None:
        """An epoch is done, and Tune's scheduler has decided."""
        trial_id = trial.config["trial"]
        if result["status"] is None:
            self._channel.verdict.remote(trial_id, not result.get("done"))
        running = self._progress.running[trial_id]
        running.epoch, running.best = result["epoch"], _number(result[TUNE_METRIC])
        if running.best is not None and (self._progress.best is None or running.best > self._progress.best):
            self._progress.best, self._progress.best_id = running.best, trial_id
        self._view.refresh()

    def on_trial_complete(self, trial: Any, **_: Any) -> None:
        """A trial ended by itself or was stopped."""
        result = trial.last_result
        best = _number(result[TUNE_METRIC])
        if result["status"] == "interrupted":
            return
        reason = result["reason"]
        if result["status"] is None:
            reason = (
                f"stopped early after epoch {result['epoch']}: with a best val mIoU of "
                f"{'none' if best is None else f'{best:.3f}'} it was not among those that ASHA lets go on"
            )
        self._finish(
            trial,
            Outcome(
                status=result["status"] or "stopped",
                reason=reason,
                traceback=result["traceback"],
                epochs=result["epoch"],
                best_val_miou=best,
                best_epoch=result["best_epoch"],
                seconds=result["trial_seconds"],
            ),
        )

    def on_trial_error(self, trial: Any, **_: Any) -> None:
        """The trial's slot itself died and could not be restarted."""
        last = trial.last_result or {}
        reason = "the process in front of the trial's workers died; see Ray's logs"
        error = trial.get_error()
        self._finish(
            trial,
            Outcome(
                status="failed",
                reason=reason,
                traceback=str(error) if error else "",
                epochs=last.get("epoch", 0),
                best_val_miou=_number(last.get(TUNE_METRIC, math.nan)),
                best_epoch=last.get("best_epoch"),
                seconds=last.get("trial_seconds", 0.0),
            ),
        )

    def on_step_end(self, **_: Any) -> None:
        """Say that the sweep is alive, now and then."""
        if time.monotonic() >= self._next_state:
            self._next_state = time.monotonic() + STATE_SECONDS
            self.write_state("running")
            self._view.refresh()

    def write_state(self, status: str) -> None:
        """Write state.json."""
        spent = time.monotonic() - self._progress.started
        self._sweep.write_state(
            SweepState(
                status=status,
                updated_at=time.time(),
                seconds=self._seconds_before + spent,
                trials=self._progress.total or self._progress.done,
            )
        )

    def _finish(self, trial: Any, outcome: Outcome) -> None:
        trial_id = trial.config["trial"]
        self._sweep.trial(trial_id).finish(outcome)
        progress = self._progress
        progress.running.pop(trial_id, None)
        progress.done += 1
        progress.trial_seconds.append(outcome.seconds)
        best = "none" if outcome.best_val_miou is None else f"{outcome.best_val_miou:.3f}"
        why = f" ({outcome.reason})" if outcome.status not in ("finished", "stopped") else ""
        self._view.say(
            f"trial {trial_id} {outcome.status} after {outcome.epochs} epochs, best val mIoU {best}: "
            f"{shown(trial.config['values'])}{why}"
        )
        if self._view.is_plain:
            self._view.say(progress.headline())
        self._view.refresh()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
