"""The dispatcher: hands the events of a sweep to its callbacks, and keeps their failures away from the sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from segray.shown import redacted
from segray.tuning.callbacks.kind import Callback
from segray.values import Values

if TYPE_CHECKING:
    from segray.records import EpochRecord, Outcome, SweepInfo, SweepStatus
    from segray.storage import SweepFiles

END_SECONDS = 60.0
"""Time after the sweep's end in which the callbacks record what is still waiting."""

Event = Callable[[Callback], None]


class Dispatcher:
    """Passes every event on to all callbacks, and returns at once.

    Args:
        callbacks: Callbacks by name.
        say: Told in one line that a callback failed; called in other threads.
        end_seconds: Longest wait for the callbacks after the sweep's end.
    """

    def __init__(
        self, callbacks: Mapping[str, Callback], say: Callable[[str], None], end_seconds: float = END_SECONDS
    ) -> None:
        self._end_seconds = end_seconds
        self._begun: set[str] = set()
        self._listeners = [_Listener(name, callback, say) for name, callback in callbacks.items()]

    def sweep_begins(self, info: SweepInfo, files: SweepFiles) -> None:
        """Start the callbacks' threads."""
        for listener in self._listeners:
            listener.start(lambda callback: callback.sweep_begins(info, files))

    def trial_begins(self, trial_id: str, config: Values, values: Values) -> None:
        """Pass on that a trial has a slot; one that goes on after a pause, or in another slot, has begun already."""
        if trial_id in self._begun:
            return
        self._begun.add(trial_id)
        self._tell(lambda callback: callback.trial_begins(trial_id, config, values))

    def epoch_done(self, trial_id: str, record: EpochRecord) -> None:
        """Pass on that a trial has completed an epoch."""
        self._tell(lambda callback: callback.epoch_done(trial_id, record))

    def trial_ended(self, trial_id: str, outcome: Outcome) -> None:
        """Pass on that a trial has ended."""
        self._tell(lambda callback: callback.trial_ended(trial_id, outcome))

    def sweep_ends(self, status: SweepStatus) -> None:
        """Pass on that the sweep ends, and wait for the callbacks."""
        self._tell(lambda callback: callback.sweep_ends(status))
        self._tell(None)
        # One deadline for all, which record side by side.
        deadline = time.monotonic() + self._end_seconds
        for listener in self._listeners:
            listener.end(deadline)

    def _tell(self, event: Event | None) -> None:
        for listener in self._listeners:
            listener.tell(event)


class _Listener:
    """A callback and its thread. A thread, because a tracker's server or disk may answer late, or never."""

    def __init__(self, name: str, callback: Callback, say: Callable[[str], None]) -> None:
        self._name, self._callback, self._say = name, callback, say
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._begin: Event | None = None
        self._num_failures = 0
        # A daemon: a tracker that never answers must not keep the process alive.
        self._thread = Thread(target=self._listen, name=f"callback-{name}", daemon=True)

    def start(self, begin: Event) -> None:
        """Start with the event that the sweep begins."""
        self._begin = begin
        self._thread.start()

    def tell(self, event: Event | None) -> None:
        """Add an event; None is the end."""
        self._events.put(event)

    def end(self, deadline: float) -> None:
        """Wait until all events have been heard, or until ``time.monotonic()`` is at the deadline."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._say(f"callback {self._name} is not done in time, and is left behind: it may lack the last epochs")
        elif self._num_failures > 1:
            self._say(f"callback {self._name} failed {self._num_failures} times, and lacks what it could not record")

    def _listen(self) -> None:
        # The callback begins now and not with the first trial, which may wait long for its workers.
        self._hear(lambda _: None)
        while event := self._events.get():
            self._hear(event)

    def _hear(self, event: Event) -> None:
        try:
            if self._begin is not None:
                # Nothing works before the beginning has; a server that was away then may be back.
                self._begin(self._callback)
                self._begin = None
            event(self._callback)
        # Some libraries call sys.exit, which would end the thread without a word.
        except (Exception, SystemExit) as error:
            self._num_failures += 1
            # One line: a server that is away fails at every event.
            if self._num_failures == 1:
                self._say(f"callback {self._name} failed, and the sweep goes on without it: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """Return an error's type and first line, without logins and keys."""
    first_line = str(error).strip().partition("\n")[0]
    return redacted(f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__)
