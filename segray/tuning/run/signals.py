"""The signals that end a sweep: SIGINT (Ctrl-C) and SIGTERM."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from segray.tuning.run.progress import View
from segray.tuning.run.supervisor import Stop

ECHO_SECONDS = 1.0
"""Time within which a signal counts once: `timeout` sends it to the process and again to its group."""


@contextmanager
def ending_on_signals(stop: Stop, view: View) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the sweep cleanly, and the second at once."""
    asked_at = 0.0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked_at
        if stop.asked:
            if time.monotonic() - asked_at > ECHO_SECONDS:
                raise KeyboardInterrupt
            return
        stop.asked, asked_at = True, time.monotonic()
        view.say(f"{signal.Signals(number).name}: ending what runs at its next batch; again to end at once")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        # After the sweep, the command's own handlers let Ctrl-C interrupt the judging of test images.
        for number, handler in earlier.items():
            signal.signal(number, handler)
