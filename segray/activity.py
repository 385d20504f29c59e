"""Note what this process is doing, and watch it: a process that hangs reports its activity and its stack."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

LOOK_SECONDS: Final = 1.0
"""Time between two looks of the watch."""

LINE_SECONDS: Final = 20.0
"""Time between the lines that say how far a long task is."""

T = TypeVar("T")


class Throttle:
    """Lets something happen once in so many seconds, such as a line that says how far a long task is.

    Args:
        seconds: Time from the start to the first time, and from each time to the next.
    """

    def __init__(self, seconds: float = LINE_SECONDS) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether enough time has passed; if so, the time starts again."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class _Activity:
    """One activity of the process. The same activity done again is another object."""

    def __init__(self, what: str | None) -> None:
        self.what = what


_now = _Activity(None)


def doing(what: str | None) -> None:
    """Note the activity that begins now; call again whenever work of unknown length makes progress.

    Args:
        what: An activity such as "loading a training batch"; None for one that may take any time and is not watched.
    """
    global _now
    _now = _Activity(what)


@contextmanager
def waiting_for_others() -> Iterator[None]:
    """Wait for other processes without being watched: each of them is watched itself, and its end ends the wait."""
    before = _now.what
    doing(None)
    try:
        yield
    finally:
        doing(before)


def each(items: Iterable[T], *, getting: str, using: str) -> Iterator[T]:
    """Yield the items, noting whether the process waits for the next item or uses the last one.

    Args:
        items: Items such as a loader's batches.
        getting: The activity while the process waits for an item.
        using: The activity while the process uses an item.
    """
    doing(getting)
    for item in items:
        doing(using)
        yield item
        doing(getting)


@contextmanager
def watched(limit_seconds: float, on_silence: Callable[[str, str], object]) -> Iterator[None]:
    """Call for help, once, when a single activity of this thread takes longer than a limit.

    Args:
        limit_seconds: The limit; may be infinite.
        on_silence: Called in another thread with this thread's activity and stack.
    """
    done, watched_thread = threading.Event(), threading.get_ident()
    pause = min(LOOK_SECONDS, limit_seconds / 10)

    def watch() -> None:
        seen, num_looks = _now, 0
        while not done.wait(pause):
            if seen is not _now or seen.what is None:
                seen, num_looks = _now, 0
                continue
            # Looks are counted instead of time: a process that was suspended for an hour, with its watch, is no hang.
            num_looks += 1
            if num_looks * pause >= limit_seconds:
                on_silence(seen.what, "".join(traceback.format_stack(sys._current_frames()[watched_thread])))
                return

    doing("starting")
    threading.Thread(target=watch, name="segray-watch", daemon=True).start()
    try:
        yield
    finally:
        done.set()
        doing(None)
