"""What this process is doing, and a watch over it: a process that hangs says what it was doing, and where."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

LOOK_SECONDS: Final = 1.0
"""How often the watch looks."""

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


class _Doing:
    """One thing that the process does. The same thing done again is another object."""

    def __init__(self, what: str | None) -> None:
        self.what = what


_now = _Doing(None)


def doing(what: str | None) -> None:
    """Note what this process does from now on; call it again whenever work of unknown length gets on.

    Args:
        what: Such as "loading a training batch"; None for what may take any time, and is not watched.
    """
    global _now
    _now = _Doing(what)


@contextmanager
def waiting_for_others() -> Iterator[None]:
    """Wait for other processes, unwatched: each of them is watched itself, and their end ends the wait."""
    before = _now.what
    doing(None)
    try:
        yield
    finally:
        doing(before)


def each(items: Iterable[T], *, getting: str, using: str) -> Iterator[T]:
    """The items, with a note of whether the process gets the next one or uses the last.

    Args:
        items: Such as a loader's batches.
        getting: What the process does until an item comes.
        using: What it does with an item.
    """
    doing(getting)
    for item in items:
        doing(using)
        yield item
        doing(getting)


@contextmanager
def watched(limit_seconds: float, on_silence: Callable[[str, str], object]) -> Iterator[None]:
    """Call for help, once, where this thread does a single thing for longer than a limit.

    Args:
        limit_seconds: May be infinite.
        on_silence: Called in another thread with what this thread does, and its stack.
    """
    done, watched_thread = threading.Event(), threading.get_ident()
    pause = min(LOOK_SECONDS, limit_seconds / 10)

    def watch() -> None:
        seen, num_looks = _now, 0
        while not done.wait(pause):
            if seen is not _now or seen.what is None:
                seen, num_looks = _now, 0
                continue
            # Looks are counted, not time: a process that was suspended for an hour, and its watch with it, is no hang.
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
