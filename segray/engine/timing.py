"""Timing of several backends in turns, so that whatever else a machine does hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

PAUSE_SECONDS: Final = 0.02
"""Pause before each turn: worker threads of the last backend spin for some milliseconds, and would slow the next."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long one call takes, in steady state."""

    min_seconds: float
    """The fastest call, which other work on the machine delays least"""
    median_seconds: float
    p95_seconds: float
    """19 of 20 calls are faster"""
    num_calls: int


def time_in_turns(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 5,
    seconds: float = 0.4,
    warmup_seconds: float = 0.4,
    synchronise: Callable[[], None] = lambda: None,
) -> dict[str, Timing]:
    """Time calls, each alone, in turns.

    Args:
        calls: Name -> the call to time.
        rounds: Turns of each call.
        seconds: Least time of a turn; a turn has at least two calls, and its first call is not counted.
        warmup_seconds: Least time that each call is repeated before the first turn; at least three calls.
        synchronise: Waits until the device is done; called before each clock reading.
    """
    for call in calls.values():
        _repeat(call, warmup_seconds, least=3, synchronise=synchronise)
    found: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds if calls else 0):
        # The order turns, so that none is always the one after a pause or a slow neighbour.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            time.sleep(PAUSE_SECONDS)
            # The first call finds the caches full of another backend's data.
            found[name] += _repeat(calls[name], seconds, least=2, synchronise=synchronise)[1:]
    return {name: _timing(durations) for name, durations in found.items()}


def _repeat(call: Callable[[], object], seconds: float, *, least: int, synchronise: Callable[[], None]) -> list[float]:
    durations: list[float] = []
    synchronise()
    while len(durations) < least or sum(durations) < seconds:
        start = time.perf_counter()
        call()
        synchronise()
        durations.append(time.perf_counter() - start)
    return durations


def _timing(durations: list[float]) -> Timing:
    median, p95 = np.percentile(durations, (50, 95))
    return Timing(
        min_seconds=min(durations), median_seconds=float(median), p95_seconds=float(p95), num_calls=len(durations)
    )
