"""The state of one slot in the channel: its trial in flight, its worker group, and what workers wait for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from segray.clock import working_time
from segray.cluster.messages import Message, Task

MAX_ATTEMPTS = 3
"""Deaths of a trial's workers in a row, without an epoch between them, after which the trial has failed.

A group that never gets ready for a trial is given up after as many starts.
"""

UNKNOWN = "nobody saw why; the node may be gone, or `/tmp/ray/session_latest/logs` on the node may tell"


class Life(Enum):
    """The stages of a slot's worker group."""

    OPEN = auto()
    """The group takes trials, or is being started for them"""
    FINISHED = auto()
    """The workers are told to return"""
    ENDED = auto()
    """The group is gone for good"""


@dataclass
class Flight:
    """A trial in flight: given to a slot, and not ended yet. It waits for workers, or has workers."""

    task: Task
    has_workers: bool = False
    since: float = field(default_factory=working_time)
    """working_time() when workers took the trial, or when it began to wait for workers"""
    deaths: int = 0
    """Number of times that the trial has lost its workers since its last epoch"""
    stop_reason: str = ""
    """Why a person ended the trial; its workers say so when they have stopped. Empty for a trial that goes on"""

    def take(self) -> None:
        """Give the trial to workers; do nothing if another rank of them was first."""
        if not self.has_workers:
            self.has_workers, self.since = True, working_time()

    def lose_workers(self) -> None:
        """Count a death, and wait for workers to make the next attempt."""
        self.task = replace(self.task, attempt=self.task.attempt + 1, seconds=self.seconds())
        self.has_workers, self.since = False, working_time()
        self.deaths += 1

    def seconds(self) -> float:
        """Return the time spent on the trial, over all attempts."""
        return self.task.seconds + (working_time() - self.since if self.has_workers else 0.0)


@dataclass
class Causes:
    """The causes of the workers' last end; each is a reason, with a traceback or the end of a log."""

    seen: tuple[str, str] = ("", "")
    """The cause as others saw it"""
    said: dict[int, tuple[str, str]] = field(default_factory=dict)
    """The causes that workers gave themselves, by rank; the rank that failed first comes before those that lost it"""

    def best_known(self) -> tuple[str, str]:
        """Return the cause that tells most; empty texts if nobody knows any."""
        return self.seen if self.seen[0] else next(iter(self.said.values()), ("", ""))


@dataclass
class SlotState:
    """The state of a slot. Its methods change the state; the channel wakes the waiters."""

    life: Life = Life.OPEN
    flight: Flight | None = None
    """The slot's trial; None between two trials"""
    generation: int = 0
    sequence: int = 0
    """Number of tasks given, so that every rank takes each task once"""
    starts: int = 0
    """Starts of the group"""
    unready_starts: int = 0
    """Starts of the group since the group was last ready for a trial"""
    unready_runs: int = 0
    """Train runs since then; a run starts the group again and again until the run's controller dies"""
    causes: Causes = field(default_factory=Causes)
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    verdict: asyncio.Future[bool] | None = None
    """The answer to the last record: whether to train the next epoch"""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the trial in flight must end between two batches"""
    store: tuple[int, dict[str, bytes]] = field(default_factory=lambda: (0, {}))
    """The number of the latest start that used the store, and the values that torch.distributed keeps in it"""

    def runs(self, trial_id: str) -> bool:
        """Return whether a trial is in flight in this slot."""
        return self.flight is not None and self.flight.task.trial_id == trial_id

    def begin(self, task: Task) -> None:
        """Put a trial in flight."""
        self.flight = Flight(task)
        # Calls that still wait for the last trial's stop are let go: each takes one of the channel's places.
        self.stop.set()
        self.inbox, self.stop = asyncio.Queue(), asyncio.Event()
        self.sequence += 1

    def end(self, message: Message) -> None:
        """End the trial in flight with a message that says how."""
        self.flight = None
        self.inbox.put_nowait(message)

    def fail(self, what: str) -> None:
        """End the trial in flight as failed, with the best known cause."""
        assert self.flight is not None
        task = self.flight.task
        why, details = self.causes.best_known()
        reason = f"{what}: {why or UNKNOWN}"
        self.end(Message(task.trial_id, status="failed", reason=reason, traceback=details, seconds=task.seconds))

    def stop_flight(self, reason: str) -> None:
        """End the trial in flight as stopped: its workers say when they have stopped, between two batches."""
        assert self.flight is not None
        self.flight.stop_reason = reason
        if self.flight.has_workers:
            self.stop.set()
        else:
            task = self.flight.task
            self.end(Message(task.trial_id, status="stopped", reason=reason, seconds=task.seconds))

    def interrupt(self) -> None:
        """End the trial in flight between two batches, if there is one."""
        self.stop.set()
        self.answer(go_on=False)
        if self.flight is not None:
            self.end(Message(self.flight.task.trial_id, status="interrupted"))

    def answer(self, *, go_on: bool) -> bool:
        """Answer the last record; return whether anyone waits for the answer."""
        if self.verdict is None or self.verdict.done():
            return False
        self.verdict.set_result(go_on)
        return True

    def void(self) -> None:
        """End all waits of the slot's workers, and make workers that still live end their trial."""
        self.generation += 1
        if self.verdict is not None and not self.verdict.done():
            self.verdict.cancel()
        # Workers that still live hear the old event, which stays set; the next workers must not.
        self.stop.set()
        self.stop = asyncio.Event()

    def lose_workers(self) -> None:
        """Note that the slot has lost its workers; their trial gets another attempt, or fails."""
        self.void()
        flight = self.flight
        # A group that dies before it takes the trial costs the trial no attempt.
        if flight is None or not flight.has_workers:
            return
        why, log = self.causes.best_known()
        ended = f"attempt {flight.task.attempt} ended: {why or UNKNOWN}"
        self.inbox.put_nowait(Message(flight.task.trial_id, log=f"{ended}\n{log}".strip()))
        flight.lose_workers()
        if flight.stop_reason:
            self.stop_flight(flight.stop_reason)
        elif flight.deaths >= MAX_ATTEMPTS:
            self.fail(f"its workers died {MAX_ATTEMPTS} times in a row before an epoch was done")

    def store_of(self, start: int) -> dict[str, bytes]:
        """Return the store of a start; for a start that is over, an empty store that nobody reads."""
        if start > self.store[0]:
            self.store = start, {}
        return self.store[1] if start == self.store[0] else {}
