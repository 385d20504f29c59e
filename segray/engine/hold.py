"""A hold: a person lets a run wait between two batches, with all that it has in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from segray.activity import waiting_for_others
from segray.clock import hold_clock, release_clock
from segray.engine.distributed import world_size


class Hold(Protocol):
    """The look of one rank for a hold."""

    def is_wanted(self) -> bool:
        """Return whether the run must wait before its next batch."""

    def wait(self) -> None:
        """Return when the run may go on, or must end."""


def rest(hold: Hold) -> None:
    """Wait until a hold is over. It is no hang, and no part of the run's time."""
    hold_clock()
    try:
        with waiting_for_others():
            hold.wait()
    finally:
        release_clock()


def resting(interrupted: Callable[[], bool], hold: Hold | None) -> Callable[[], bool]:
    """Return a look between validation batches that waits while a run of one process is on hold.

    Ranks have unequal numbers of these batches, so that several cannot agree to wait: their validation ends first.

    Args:
        interrupted: The look for an end.
        hold: The look for a hold; None for a run that nobody can hold.
    """

    def look() -> bool:
        if hold is not None and world_size() == 1 and hold.is_wanted():
            rest(hold)
        return interrupted()

    return look
