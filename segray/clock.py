"""A clock that stands still while this process is on hold, so that no time limit counts the hold."""

from __future__ import annotations

import time

_held_seconds = 0.0
_held_at: float | None = None


def working_time() -> float:
    """Return seconds on the clock; only differences mean anything."""
    return (time.monotonic() if _held_at is None else _held_at) - _held_seconds


def hold_clock() -> None:
    """Let the clock stand still; do nothing if it does."""
    global _held_at
    if _held_at is None:
        _held_at = time.monotonic()


def release_clock() -> None:
    """Let the clock go on from where it stands; do nothing if it goes."""
    global _held_at, _held_seconds
    if _held_at is not None:
        _held_seconds += time.monotonic() - _held_at
        _held_at = None
