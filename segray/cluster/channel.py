"""The channel of a sweep: one zero-CPU actor that carries tasks to warm worker groups, records to Tune, verdicts back.

Names used here: A *slot* is one warm worker group and the Tune actor in front of it. A *generation* counts the
starts of a slot's group; a group that starts again voids everything that its predecessor waited for. A task's
*attempt* counts the starts of one trial. Every wait ends: with a verdict, a new generation, an interrupt or the slot's
end.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from segray.records import EpochRecord, OutcomeStatus

MAX_ATTEMPTS = 3
"""Deaths of a trial's workers in a row, without an epoch between them, after which the trial has failed.

A group that never gets ready for a trial is given up after as many starts.
"""

GROUP_ENDED = "the trial's worker group could not be kept running"

UNKNOWN = "nobody saw why; the node may be gone, or `/tmp/ray/session_latest/logs` on the node may tell"


class ChannelError(Exception):
    """A value that a worker waits for will not come."""


@dataclass(frozen=True)
class Task:
    """One trial to run."""

    trial_id: str
    config: dict[str, Any]
    """The resolved RunConfig, nested"""
    attempt: int = 1
    seconds: float = 0.0
    """Time spent on the trial before this attempt"""


@dataclass(frozen=True)
class Message:
    """News of a slot's trial: an epoch's record, the trial's end, both at once, or the reason why an attempt ended."""

    trial_id: str
    record: EpochRecord | None = None
    status: OutcomeStatus | Literal["interrupted", "no_storage"] | None = None
    """None while the trial goes on; no_storage if the sweep's files cannot be written, which ends the sweep"""
    reason: str = ""
    traceback: str = ""
    seconds: float = 0.0
    """Time spent on a failed trial, over all attempts"""
    log: str = ""
    """Lines for the trial's log that no worker could write, since the workers died"""


@dataclass
class _Slot:
    generation: int = 0
    sequence: int = 0
    """Number of tasks given, so that every rank takes each task once"""
    task: Task | None = None
    taken_at: float | None = None
    """time.monotonic() when workers took the trial in flight; None while the trial waits for workers"""
    deaths: int = 0
    """Number of times that the trial in flight has lost its workers since its last epoch"""
    verdict: asyncio.Future[bool] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the trial in flight must end between two batches"""
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    starts: int = 0
    unready_starts: int = 0
    """Starts of the group since the group was last ready for a trial"""
    unready_runs: int = 0
    """Train runs since then; a run starts the group again and again until the run's controller dies"""
    finished: bool = False
    failure: tuple[str, str] = ("", "")
    """Last cause of the workers' end as others saw it: the reason, and a traceback or the end of a log"""
    notes: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Causes that workers gave themselves, by rank; the rank that failed first comes before those that lost it"""
    ended: bool = False
    """Whether the group is gone for good"""
    waiting_since: float | None = None
    """time.monotonic() when the trial in flight began to wait for workers; None while it has workers"""
    store: tuple[int, dict[str, bytes]] = field(default_factory=lambda: (0, {}))
    """The number of the latest start that used the store, and the values that torch.distributed keeps in it"""


class Channel:
    """The actor between the driver, the slots and the workers.

    Every method is called by name over Ray (see ``handle``). A change of state wakes all waiters.
    """

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}
        self._changed = asyncio.Condition()
        self._interrupted = False

    # ---- called by the slot: Tune's side

    async def submit(self, slot: str, task: Task) -> None:
        """Give a slot its next trial."""
        for other in self._slots.values():
            if other.task is not None and other.task.trial_id == task.trial_id:
                # The process in front of the other slot died; workers that outlived it must not go on with the trial.
                attempt, seconds = other.task.attempt + 1, self._seconds(other)
                task = replace(task, attempt=max(task.attempt, attempt), seconds=max(task.seconds, seconds))
                self._void(other)
                other.task = None
        state = self._slot(slot)
        state.task, state.taken_at, state.deaths = task, None, 0
        # Calls that still wait for the last trial's stop are let go: each takes one of this actor's places.
        state.stop.set()
        state.inbox, state.stop = asyncio.Queue(), asyncio.Event()
        state.sequence += 1
        state.waiting_since = time.monotonic()
        if self._interrupted:
            self._interrupt_slot(state)
        elif state.ended:
            self._fail(state, GROUP_ENDED)
        else:
            self._forget_failures(state)
        await self._notify()

    async def next_message(self, slot: str) -> Message:
        """Wait for the next message of the slot's group."""
        return await self._slot(slot).inbox.get()

    async def next_run(self, slot: str, reason: str = "", traceback: str = "") -> bool:
        """Return whether to start a Train run for the slot's group; a trial in flight waits for the run.

        Args:
            slot: The slot.
            reason: The cause of the last run's end, such as its controller's death; empty for the first run.
            traceback: The traceback of that cause.
        """
        state = self._slot(slot)
        gave_up = state.unready_starts > MAX_ATTEMPTS
        if reason:
            if not (gave_up and self._why(state)[0]):
                state.failure = reason, traceback
            self._lost(state)
        state.unready_runs += 1
        go_on = not gave_up and not state.finished and state.unready_runs <= MAX_ATTEMPTS
        if not go_on:
            state.ended = True
            if state.task is not None:
                self._fail(state, GROUP_ENDED)
        await self._notify()
        return go_on

    async def finish(self, slot: str) -> None:
        """Tell the slot's workers to return."""
        state = self._slot(slot)
        state.finished = True
        state.stop.set()
        await self._notify()

    # ---- called by the driver

    async def verdict(self, trial_id: str, go_on: bool) -> None:
        """Answer the last record of a trial: whether the trial goes on."""
        for state in self._slots.values():
            if state.task is None or state.task.trial_id != trial_id:
                continue
            if state.verdict is not None and not state.verdict.done():
                state.verdict.set_result(go_on)
            elif not go_on:
                state.stop.set()
            if not go_on:
                state.task = None
        await self._notify()

    async def waiting_seconds(self) -> dict[str, float]:
        """Return trial id -> seconds that the trial has waited for workers, for trials without workers."""
        return {
            state.task.trial_id: time.monotonic() - state.waiting_since
            for state in self._slots.values()
            if state.task is not None and state.waiting_since is not None
        }

    async def seconds(self, trial_id: str) -> float:
        """Return the time spent on a trial in flight, over all attempts; 0 if the trial is not in flight."""
        return max(
            (self._seconds(state) for state in self._slots.values() if state.task and state.task.trial_id == trial_id),
            default=0.0,
        )

    async def interrupt(self) -> None:
        """End every trial between two batches, and take no new trials."""
        self._interrupted = True
        for state in self._slots.values():
            self._interrupt_slot(state)
        await self._notify()

    # ---- called by Train's controller

    async def starting(self, slot: str) -> int | None:
        """Count a start of the group; return its number.

        Return None to give the group up, because its processes died too often before they were ready for a trial.
        """
        state = self._slot(slot)
        state.starts += 1
        state.unready_starts += 1
        return state.starts if state.unready_starts <= MAX_ATTEMPTS else None

    async def stopping(self, slot: str, start: int, rank: int | None = None, reason: str = "", log: str = "") -> None:
        """Note that a group's processes are about to be ended, or that some of them are dead.

        Args:
            slot: The slot.
            start: The number of the processes' start.
            rank: A rank that died; None if none died.
            reason: How the rank died; ignored if the worker itself has said why it ends.
            log: The last lines that the rank wrote.
        """
        state = self._slot(slot)
        if start != state.starts:
            return
        if rank is not None:
            state.failure = state.notes.get(rank, (reason, log))
        self._lost(state)
        await self._notify()

    # ---- called by the workers

    async def store_set(self, slot: str, start: int, key: str, value: bytes) -> None:
        """Keep a value for torch.distributed."""
        self._store(slot, start)[key] = value
        await self._notify()

    async def store_add(self, slot: str, start: int, key: str, value: int) -> int:
        """Add to a number, which begins at 0; return the sum."""
        store = self._store(slot, start)
        store[key] = str(int(store.get(key, b"0")) + value).encode()
        await self._notify()
        return int(store[key])

    async def store_has(self, slot: str, start: int, keys: list[str]) -> bool:
        """Return whether all keys have a value."""
        return self._store(slot, start).keys() >= set(keys)

    async def store_get(self, slot: str, start: int, keys: list[str]) -> list[bytes]:
        """Wait until all keys have a value; return the values.

        Raises:
            ChannelError: A later start of the group has begun, so nobody will set the values.
        """
        store, state = self._store(slot, start), self._slot(slot)
        async with self._changed:
            await self._changed.wait_for(lambda: store.keys() >= set(keys) or state.store[1] is not store)
        if not store.keys() >= set(keys):
            raise ChannelError(f"start {start} of the group of slot {slot} is over")
        return [store[key] for key in keys]

    async def join(self, slot: str) -> tuple[int, int]:
        """Begin a generation (called by rank 0); return its number and the sequence number to ask for tasks after."""
        state = self._slot(slot)
        self._lost(state)
        # Earlier notes belong to an earlier trial, or are already in this trial's log.
        self._forget_failures(state)
        after = state.sequence
        if state.task is not None:
            state.sequence += 1
        await self._notify()
        return state.generation, after

    async def next_task(self, slot: str, generation: int, after: int) -> tuple[int, Task] | None:
        """Wait for the task that follows sequence number ``after``; return None when the worker should return."""
        state = self._slot(slot)
        if state.generation == generation:
            state.unready_starts = state.unready_runs = 0

        def ready() -> bool:
            return (
                state.finished or state.generation != generation or (state.task is not None and state.sequence > after)
            )

        async with self._changed:
            await self._changed.wait_for(ready)
        if state.finished or state.generation != generation or state.task is None:
            return None
        if state.taken_at is None:
            state.taken_at, state.waiting_since = time.monotonic(), None
        return state.sequence, state.task

    async def hand_over(self, slot: str, generation: int, message: Message) -> bool:
        """Pass on an epoch's record; return whether to train the next epoch.

        A message with a status ends the trial. Nobody answers it, so the result is False at once.
        """
        state = self._slot(slot)
        current = state.task
        if state.generation != generation or current is None or current.trial_id != message.trial_id:
            return False
        if message.status is not None:
            state.task = None
            state.inbox.put_nowait(message)
            return False
        state.deaths = 0
        self._forget_failures(state)
        state.verdict = asyncio.get_running_loop().create_future()
        state.inbox.put_nowait(message)
        try:
            return await state.verdict
        except asyncio.CancelledError:
            return False

    async def note_failure(self, slot: str, rank: int, reason: str, traceback: str) -> None:
        """Note why a worker is about to end its process; a trial in flight gets another attempt."""
        self._slot(slot).notes[rank] = reason, traceback

    async def should_stop(self, slot: str, generation: int) -> None:
        """Return once the trial in flight must end between two batches."""
        state = self._slot(slot)
        if state.generation == generation:
            await state.stop.wait()

    # ---- inside

    def _slot(self, slot: str) -> _Slot:
        return self._slots.setdefault(slot, _Slot())

    def _store(self, slot: str, start: int) -> dict[str, bytes]:
        """Return the store of a start; for a start that is over, an empty store that nobody reads."""
        state = self._slot(slot)
        if start > state.store[0]:
            state.store = start, {}
        return state.store[1] if start == state.store[0] else {}

    def _void(self, state: _Slot) -> None:
        """End all waits of a slot's workers, and make workers that still live end their trial."""
        state.generation += 1
        if state.verdict is not None and not state.verdict.done():
            state.verdict.cancel()
        state.stop.set()
        state.stop = asyncio.Event()

    def _why(self, state: _Slot) -> tuple[str, str]:
        """Return the cause of the workers' end: reason, and traceback or end of a log; empty if nobody knows."""
        return state.failure if state.failure[0] else next(iter(state.notes.values()), ("", ""))

    def _forget_failures(self, state: _Slot) -> None:
        state.failure, state.notes = ("", ""), {}

    def _seconds(self, state: _Slot) -> float:
        """Return the time spent on the trial in flight, over all attempts."""
        assert state.task is not None
        this_attempt = 0.0 if state.taken_at is None else time.monotonic() - state.taken_at
        return state.task.seconds + this_attempt

    def _lost(self, state: _Slot) -> None:
        """Note that the slot has lost its workers; their trial gets another attempt, or fails."""
        self._void(state)
        if state.waiting_since is None:
            state.waiting_since = time.monotonic()
        task = state.task
        if task is None or state.taken_at is None:
            return
        why, log = self._why(state)
        ended = f"attempt {task.attempt} ended: {why or UNKNOWN}"
        state.inbox.put_nowait(Message(task.trial_id, log=f"{ended}\n{log}".strip()))
        state.task = replace(task, attempt=task.attempt + 1, seconds=self._seconds(state))
        state.taken_at = None
        state.deaths += 1
        if state.deaths >= MAX_ATTEMPTS:
            self._fail(state, f"its workers died {MAX_ATTEMPTS} times in a row before an epoch was done")

    def _interrupt_slot(self, state: _Slot) -> None:
        state.stop.set()
        if state.verdict is not None and not state.verdict.done():
            state.verdict.set_result(False)
        if state.task is not None:
            message = Message(state.task.trial_id, status="interrupted")
            state.task = None
            state.inbox.put_nowait(message)

    def _fail(self, state: _Slot, what: str) -> None:
        task = state.task
        assert task is not None
        why, details = self._why(state)
        state.inbox.put_nowait(
            Message(
                task.trial_id,
                status="failed",
                reason=f"{what}: {why or UNKNOWN}",
                traceback=details,
                seconds=task.seconds,
            )
        )
        state.task = None

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
