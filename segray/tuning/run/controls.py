"""Requests of persons to a running sweep: to try a point, to stop a trial, to pause and to continue."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ray import tune

from segray import text
from segray.clock import hold_clock, release_clock
from segray.cluster.handle import ChannelHandle
from segray.errors import ConfigError, OutageError, SegrayError, StorageError, SweepTakenError
from segray.foreign import in_short
from segray.records import STOPPED_BY_REQUEST
from segray.requests import Answer, Request, Requests
from segray.storage import Repeat, SweepFiles
from segray.tuning.run.progress import Progress, View
from segray.tuning.run.retries import Retries
from segray.tuning.run.supervisor import STATE_SECONDS, StateFile
from segray.values import Values

LOOK_SECONDS = 1.0
FAR_LOOK_SECONDS = 5.0
"""Time between two looks for requests, on local disks and on object stores."""

HELD_SECONDS = 0.1
"""Time that a step of Tune takes longer while the sweep is on hold."""

MOST_AT_ONCE = 20
"""Number of requests that are heard at one look, so that the driver stays with its trials."""


class Search(Protocol):
    """The search as persons may change it; repeats cannot be changed so."""

    def enqueue(self, values: Values, close: Callable[[str], None]) -> int:
        """Make values those of a new trial; return how many new trials begin before it.

        Args:
            values: Dotted key -> value.
            close: Called with a sentence when a trial has begun with the values, or none can.

        Raises:
            SegrayError: They cannot be tried.
        """

    def end_paused(self, trial_id: str, reason: str) -> None:
        """End a trial that has left its slot; do nothing if it has a slot again."""


class Controls(tune.Callback):
    """The callback that hears requests about once a second, acts on them, and answers.

    No request ends the sweep: one that is damaged or cannot be met is refused with a sentence.

    Args:
        sweep: The sweep's files.
        view: Told of every request.
        state: The sweep's state, which says since when it is on hold.
    """

    def __init__(self, sweep: SweepFiles, view: View, state: StateFile) -> None:
        # The driver must not wait here for storage that is out of reach: the next look may succeed.
        folder = replace(sweep.folder, patience_seconds=0.0)
        self._sweep, self._requests, self._view = SweepFiles(folder), Requests(folder), view
        self._state = state
        self._look_seconds = LOOK_SECONDS if folder.is_local else FAR_LOOK_SECONDS
        self._next_look = self._next_state = 0.0
        self._heard: set[str] = set()
        self._stopping: dict[str, tuple[str, str]] = {}
        self._outdated: set[str] = set()
        with contextlib.suppress(StorageError):
            self._outdated.update(self._requests.ids())
        with contextlib.suppress(StorageError):
            self._requests.forget_answers()

    def __getstate__(self) -> dict[str, object]:
        # Tune pickles its callbacks for a restore of its own, which segray does not use.
        return {}

    def begin_phase(
        self,
        channel: ChannelHandle,
        progress: Progress,
        retries: Retries,
        search: Search | None,
        is_over: Callable[[], bool],
    ) -> None:
        """Take charge of a phase.

        Args:
            channel: The phase's channel actor.
            progress: Tells which trials run and which are paused.
            retries: Hands out the trials.
            search: What a search can do; None for repeats.
            is_over: Whether to end the phase now, since someone asked or its time is spent.
        """
        self._channel, self._progress, self._retries, self._search = channel, progress, retries, search
        self._is_over, retries.look = is_over, self._look_on_hold
        # The search may end, and repeats begin, while the sweep is on hold.
        if self._state.held_since is not None:
            self._hold(self._state.held_since)
        # Before the first trial is proposed: a point that an earlier start accepted comes first.
        self._hear_new()

    def end_phase(self) -> None:
        """Close the requests that the phase's last step has met."""
        self._close_ended()

    def on_step_end(self, **_: object) -> None:
        """Look for requests, and see to those that are not done yet."""
        if self._state.held_since is not None:
            # Tune does not wait between two steps while all trials do.
            time.sleep(HELD_SECONDS)
        self._look()

    def _look_on_hold(self) -> bool:
        """Hear requests, and say that the sweep is alive; return whether to end the phase."""
        self._look()
        if time.monotonic() >= self._next_state:
            self._next_state = time.monotonic() + STATE_SECONDS
            with contextlib.suppress(StorageError):
                self._state.write("running")
        return self._is_over()

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._look_seconds
        self._hear_new()
        self._stop_trials()

    def _hear_new(self) -> None:
        new: list[str] = []
        with contextlib.suppress(StorageError):
            new = [request_id for request_id in self._requests.ids() if request_id not in self._heard]
        for request_id in new[:MOST_AT_ONCE]:
            # What storage lets through at a later look is not lost.
            with contextlib.suppress(StorageError):
                self._hear(request_id)

    def _hear(self, request_id: str) -> None:
        by, is_done = "somebody", True
        try:
            request = self._requests.read(request_id)
            by = request.by
            # A point that an earlier start accepted waits for the next start that searches.
            if request.kind == "enqueue" and self._search is None and request_id in self._outdated:
                return
            said, is_done = self._act(request_id, request)
            answer = Answer(accepted=True, said=said)
        except (OutageError, SweepTakenError):
            raise
        except SegrayError as error:
            answer = Answer(accepted=False, said=str(error))
        except Exception as error:
            # A point is checked by building what it names, where a library may raise anything.
            answer = Answer(accepted=False, said=f"{type(error).__name__}: {in_short(error)}")
        # Once a start, even if the answer cannot be written.
        self._heard.add(request_id)
        self._view.say(
            f"by request of {by}: {answer.said}" if answer.accepted else f"refused, asked by {by}: {answer.said}"
        )
        self._requests.answer(request_id, answer)
        if is_done:
            self._requests.close(request_id)

    def _act(self, request_id: str, request: Request) -> tuple[str, bool]:
        """Do what a request asks for; return a sentence, and whether the request is done."""
        if request.kind == "enqueue":
            return self._enqueue(request_id, request), False
        if request.kind == "stop":
            return self._stop(request_id, request), False
        # Resuming a sweep lets it train, whatever was asked of an earlier start.
        if request_id in self._outdated:
            raise ConfigError("this was asked before the sweep's present start; ask again if it is still meant")
        return (self._pause_all() if request.kind == "pause" else self._continue_all()), True

    def _enqueue(self, request_id: str, request: Request) -> str:
        if self._search is None:
            raise ConfigError("the search is over, and repeats take no points; --resume with more --trials searches on")
        if not request.values:
            raise ConfigError("a point needs a value, such as optim.lr=0.001")

        def close(what: str) -> None:
            self._view.say(f"values enqueued by request of {request.by}: {what}")
            self._close(request_id)

        num_before = self._search.enqueue(request.values, close)
        before = (
            f"{text.counted(num_before, 'new trial')} first; then the next one" if num_before else "the next new trial"
        )
        return f"{before} has these values; it counts within --trials, and takes the place of a proposed one"

    def _stop(self, request_id: str, request: Request) -> str:
        trial_id, progress = request.trial, self._progress
        what = f"{progress.what} {trial_id}"
        files = self._sweep.trial(trial_id)
        outcome = files.outcome() if trial_id and files.folder.exists() else None
        if outcome is not None:
            raise ConfigError(f"{what} has ended already, as {outcome.status}")
        if trial_id in self._stopping:
            raise ConfigError(f"{what} ends already, by an earlier request")
        if trial_id in progress.running:
            has_model = progress.running[trial_id].best is not None
            kept = "its best checkpoint is kept" if has_model else "it has completed no epoch, so it leaves no model"
            said = f"{what} ends at its next batch; {kept}"
        elif trial_id in progress.paused:
            said = f"{what}, which had left its slot, ends; its best checkpoint is kept"
        elif trial_id and files.folder.exists() and (Repeat.parse(trial_id) is None) == (self._search is not None):
            said = f"{what} waits for a slot, and ends when it has one"
        else:
            running = ", ".join(sorted(progress.running)) or "none"
            raise ConfigError(f"there is no {what} that could end; running: {running}")
        self._stopping[trial_id] = request_id, f"{STOPPED_BY_REQUEST} of {request.by}"
        return said

    def _pause_all(self) -> str:
        if self._state.held_since is not None:
            raise ConfigError(f"the sweep has been on hold already, since {text.moment(self._state.held_since)}")
        self._hold(time.time())
        return "all trials wait at their next batch, and no other begins; `segray continue` lets them go on"

    def _continue_all(self) -> str:
        since = self._state.held_since
        if since is None:
            raise ConfigError("the sweep is not on hold")
        self._hold(None)
        return f"all trials go on; the sweep was on hold for {text.duration(time.time() - since)}"

    def _hold(self, since: float | None) -> None:
        """Let all trials wait, and the clock of --minutes stand still; None lets them go on."""
        (release_clock if since is None else hold_clock)()
        self._retries.is_held = since is not None
        self._state.held_since = self._progress.held_since = since
        self._channel.hold.remote(since is not None)
        with contextlib.suppress(StorageError):
            self._state.write("running")
        self._view.refresh()

    def _stop_trials(self) -> None:
        """See to it that the trials end, even if their slots die or their scheduler pauses them meanwhile."""
        self._close_ended()
        for trial_id, (_, reason) in self._stopping.items():
            if trial_id in self._progress.running:
                self._channel.stop.remote(trial_id, reason)
            elif trial_id in self._progress.paused and self._search is not None:
                self._search.end_paused(trial_id, reason)

    def _close_ended(self) -> None:
        for trial_id, (request_id, _) in list(self._stopping.items()):
            with contextlib.suppress(StorageError):
                if self._sweep.trial(trial_id).outcome() is not None:
                    del self._stopping[trial_id]
                    self._requests.close(request_id)

    def _close(self, request_id: str) -> None:
        # If it stays, the next start hears it again, and refuses what is done already.
        with contextlib.suppress(StorageError):
            self._requests.close(request_id)
