"""The supervisor of a phase: it sends verdicts to workers, outcomes to files, and progress to the person."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Callable

from ray import tune
from ray.exceptions import RayActorError

from segray import text
from segray.clock import working_time
from segray.cluster.deaths import KILLED, ray_reason
from segray.cluster.handle import ChannelHandle, wait_for
from segray.config import RunConfig
from segray.errors import StorageError
from segray.records import STOPPED_EARLY, Outcome, OutcomeStatus, SweepState, SweepStatus
from segray.storage import SweepFiles
from segray.trial_log import TrialLog
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.run.exchange import News, TuneTrial
from segray.tuning.run.outcomes import outcome_of
from segray.tuning.run.progress import Progress, RunningTrial, View, shown
from segray.tuning.run.retries import MAX_DEATHS, Retries

STATE_SECONDS = 5.0
"""Time between two writes of state.json, which says that the sweep is alive."""

PATIENCE_SECONDS = 60.0
"""Time that a trial waits for its workers before the person hears of it."""


def this_driver() -> str:
    """Return host and process id of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def best_so_far(sweep: SweepFiles) -> tuple[float | None, str]:
    """Return the best score so far and its trial's id; None and an empty id before there is one."""
    try:
        trial, pointer = sweep.best()
    except StorageError:
        return None, ""
    return pointer.record.best_score, trial.id


class Stop(tune.Stopper):
    """A stopper that ends a phase when its time is spent or someone asked; workers hear through the channel first."""

    def __init__(self) -> None:
        self._channel: ChannelHandle | None = None
        self._deadline: float | None = None
        self._told = False
        self.asked = False
        """Whether a signal asked to end all phases"""

    def watch(self, channel: ChannelHandle, deadline: float | None) -> None:
        """Take charge of the phase that begins."""
        self._channel, self._deadline, self._told = channel, deadline, False

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        return self._deadline is not None and working_time() > self._deadline

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:  # noqa: ARG002 - Tune's signature
        """Return False: no single trial is stopped here."""
        return False

    def stop_all(self) -> bool:
        """Return whether to end the phase now."""
        if not self.asked and not self.out_of_time:
            return False
        if not self._told:
            assert self._channel is not None, "a phase is watched before it begins"
            # Workers hear first, between two batches: Tune kills its actors 10 s after the end.
            wait_for(self._channel.interrupt.remote())
            self._told = True
        return True


class StateFile:
    """The writer of state.json, which counts all starts of a sweep.

    Args:
        sweep: The sweep's files.
        search: The numbers of its search, which began with this start.
    """

    def __init__(self, sweep: SweepFiles, search: Progress) -> None:
        before = sweep.state()
        self._sweep, self._search = sweep, search
        self._seconds_before = before.seconds if before else 0.0
        self.repeating = False
        """Whether the search has ended, and repeats follow"""
        self.held_since: float | None = None
        """Unix time since which all trials wait, because a person paused the sweep"""

    def write(self, status: SweepStatus) -> None:
        """Write what the sweep is doing."""
        self._sweep.write_state(
            SweepState(
                status=status,
                driver=this_driver(),
                updated_at=time.time(),
                seconds=self._seconds_before + time.monotonic() - self._search.started,
                trials=self._search.total or self._search.done,
                repeating=self.repeating,
                paused=tuple(sorted(self._search.paused)),
                held_since=self.held_since if status == "running" else None,
            )
        )


class Supervisor(tune.Callback):
    """The callback that Tune calls in the driver, by keyword, at every event of a phase.

    Args:
        channel: The phase's channel actor.
        sweep: The sweep's files.
        base: The run that every trial starts from.
        progress: Kept up to date.
        view: Shows the progress.
        state: Written every few seconds.
        retries: Knows which trials go on in another slot.
        is_paused: Whether a trial leaves its slot to go on later.
        verdict: Why the scheduler stops a trial, as the end of a sentence.
        callbacks: Hear of every event.
    """

    def __init__(
        self,
        channel: ChannelHandle,
        sweep: SweepFiles,
        base: RunConfig,
        progress: Progress,
        view: View,
        state: StateFile,
        retries: Retries,
        is_paused: Callable[[str], bool],
        verdict: str,
        callbacks: Dispatcher,
    ) -> None:
        self._channel, self._sweep, self._base = channel, sweep, base
        self._progress, self._view, self._state, self._retries = progress, view, state, retries
        self._is_paused, self._verdict, self._callbacks = is_paused, verdict, callbacks
        self._next_state = 0.0
        self._told: set[str] = set()

    def __getstate__(self) -> dict[str, object]:
        # Tune pickles its callbacks for a restore of its own, which segray does not use.
        return {}

    def on_trial_start(self, trial: TuneTrial, **_: object) -> None:
        """Take in a trial that has a slot."""
        trial_id, values = trial.config["trial"], trial.config["values"]
        running = RunningTrial(trial_id, values, epochs=values.get("train.epochs", self._base.train.epochs))
        if last := self._sweep.trial(trial_id).pointer("last"):
            running.epoch, running.best = last.record.epoch, last.record.best_score
        self._progress.running[trial_id] = running
        self._progress.paused.discard(trial_id)
        self._callbacks.trial_begins(trial_id, self._base.flat() | values, values)
        self._view.refresh()

    def on_trial_result(self, trial: TuneTrial, result: News, **_: object) -> None:
        """Handle a finished epoch or trial, after Tune's scheduler has decided.

        The outcome is written here, before Optuna hears of it: a resume makes the study agree with the files.

        Raises:
            StorageError: Workers cannot write the sweep's files. It ends the sweep; the trial has no outcome then.
        """
        if result["status"] == "no_storage":
            raise StorageError(f"{result['reason']}; then continue with --resume")
        trial_id, best = trial.config["trial"], result[TUNE_METRIC]
        running = self._progress.running[trial_id]
        if not math.isnan(best):
            running.epoch, running.best = result["epoch"], best
            rank = self._progress.objective.rank
            if rank(best) > rank(self._progress.best):
                self._progress.best, self._progress.best_id = best, trial_id
        if result["record"] is not None:
            self._callbacks.epoch_done(trial_id, result["record"])
        if result["status"] is not None:
            assert result["status"] != "interrupted", "Tune hears nothing of a phase that is over"
            self._finish(trial, result["status"], result["reason"], result["traceback"], result["seconds"])
            return
        # Tune asks its scheduler before its callbacks, and notes a stop in the result.
        go_on = not result.get("done")
        self._channel.verdict.remote(trial_id, go_on)
        if self._is_paused(trial_id):
            self._progress.running.pop(trial_id)
            self._progress.paused.add(trial_id)
            TrialLog(self._sweep.trial(trial_id).folder).write(
                f"paused after epoch {result['epoch']}: it promises too little to keep its slot"
            )
        elif not go_on:
            objective = self._progress.objective
            score = f"its best {objective.label}, {objective.shown(best)}"
            reason = f"{STOPPED_EARLY} after epoch {result['epoch']}: {score}, {self._verdict}"
            self._finish(trial, "stopped", reason, says_why=False)
        self._view.refresh()

    def on_trial_error(self, trial: TuneTrial, **_: object) -> None:
        """Handle the death of a trial's slot, which ended Tune's trial; the searcher may hand the trial out again.

        Without the channel every slot fails. The trial is not at fault, so it gets no outcome and can be resumed.
        """
        trial_id, error = trial.config["trial"], trial.get_error()
        # The slot is dead, but the channel knows the trial's time.
        seconds = wait_for(self._channel.seconds.remote(trial_id))
        said = str(error).strip().rpartition("\n")[2]
        # Tune may know of the death alone, and then passes None on as the error's text.
        has_died = isinstance(error, RayActorError) or said == str(None)
        if has_died:
            said = (ray_reason(error) if isinstance(error, RayActorError) else "") or KILLED
        if self._retries.goes_on(trial_id):
            once = said if has_died else f"failed: {said}"
            self._take_up_again(trial_id, f"the process in front of the trial's workers {once}")
            return
        times = f"{MAX_DEATHS} times in a row"
        often = f"died {times} before an epoch was done; the last time it" if has_died else f"failed {times}:"
        reason = f"the process in front of the trial's workers {often} {said}"
        self._finish(trial, "failed", reason, str(error or ""), seconds)

    def _take_up_again(self, trial_id: str, reason: str) -> None:
        folder = self._sweep.trial(trial_id).folder
        # A slot may die before its trial begins, and a log alone would make a folder that looks begun.
        if folder.exists():
            TrialLog(folder).write(f"{reason}; another takes its place")
        self._progress.running.pop(trial_id, None)
        self._view.say(f"{self._progress.what} {trial_id} goes on in another slot: {reason}")

    def on_step_end(self, **_: object) -> None:
        """Every few seconds, write that the sweep is alive, and say which trials wait."""
        if time.monotonic() >= self._next_state:
            self._next_state = time.monotonic() + STATE_SECONDS
            # The next write may succeed; until then nothing is lost.
            with contextlib.suppress(StorageError):
                self._state.write("running")
            self._say_who_waits()
            self._view.refresh()

    def _say_who_waits(self) -> None:
        for trial_id, seconds in wait_for(self._channel.waiting_seconds.remote()).items():
            if seconds > PATIENCE_SECONDS and trial_id not in self._told:
                self._told.add(trial_id)
                self._view.say(
                    f"{self._progress.what} {trial_id} has waited {seconds:.0f} s for its workers: other jobs hold the "
                    "resources they need, or they cannot start; see `ray status` and Ray's logs"
                )

    def _finish(
        self,
        trial: TuneTrial,
        status: OutcomeStatus,
        reason: str = "",
        traceback: str = "",
        seconds: float = 0.0,
        *,
        says_why: bool = True,
    ) -> None:
        trial_id = trial.config["trial"]
        files = self._sweep.trial(trial_id)
        outcome = outcome_of(files, status, reason, traceback, seconds)
        files.finish(outcome)
        self._callbacks.trial_ended(trial_id, outcome)
        progress = self._progress
        progress.running.pop(trial_id, None)
        progress.done += 1
        # Models of failed trials do not count, so an earlier trial is the best again.
        if progress.best_id == trial_id and files.has_failed():
            progress.best, progress.best_id = best_so_far(self._sweep)
        progress.trial_seconds.append(outcome.seconds)
        self._view.say(self._end_line(trial, outcome, outcome.note if says_why else outcome.warning))
        # A terminal has the headline below its table.
        if self._view.is_plain:
            self._view.say(progress.headline())
        self._view.refresh()

    def _end_line(self, trial: TuneTrial, outcome: Outcome, why: str) -> str:
        progress, objective = self._progress, self._progress.objective
        # A repeat has the values of its trial, whose line came before.
        values = shown(trial.config["values"]) if progress.what == "trial" else ""
        return (
            f"{progress.what} {trial.config['trial']} {outcome.status} after {text.counted(outcome.epochs, 'epoch')}, "
            f"{progress.best_label} {objective.shown(outcome.best_score)}"
            + (f": {values}" if values else "")
            + (f" ({why})" if why else "")
        )
