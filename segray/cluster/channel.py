"""The channel of a sweep: one zero-CPU actor that carries tasks to warm worker groups, records to Tune, verdicts back.

Names used here: a *slot* is one warm worker group and the Tune actor in front of it. A *generation* counts the
starts of a slot's group; a group that was started afresh voids everything its predecessor waited for. A task's
*attempt* counts the starts of one trial. No wait is without an end: a verdict, a new generation, an interrupt or
the slot's end resolves it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from segray.records import EpochRecord, OutcomeStatus

MAX_ATTEMPTS = 3
"""Starts of a trial whose worker process dies before the trial counts as failed; of a group that never gets ready."""

GROUP_ENDED = "the trial's worker group could not be kept running"


@dataclass(frozen=True)
class Task:
    """One trial to run."""

    trial_id: str
    config: dict[str, Any]
    """The resolved RunConfig, nested"""
    attempt: int = 1


@dataclass(frozen=True)
class Message:
    """What a worker group says of its trial: an epoch's record, the trial's end, or both at once."""

    trial_id: str
    record: EpochRecord | None = None
    status: OutcomeStatus | Literal["interrupted"] | None = None
    """None while the trial goes on"""
    reason: str = ""
    traceback: str = ""
    seconds: float = 0.0
    """Time spent on a trial that ended in a failure, over all attempts"""


@dataclass
class _Slot:
    generation: int = 0
    sequence: int = 0
    """Counts tasks given, so that every rank takes each of them once"""
    task: Task | None = None
    taken: bool = False
    first_attempt: int = 1
    verdict: asyncio.Future[bool] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the trial in flight must end between two batches"""
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    starts: int = 0
    unready_starts: int = 0
    """Starts of the group since one of them was last ready for a trial"""
    finished: bool = False
    failure: tuple[str, str] = ("", "")
    """Reason and traceback of what ended a worker last"""
    ended: bool = False
    """The group is gone for good"""
    waiting_since: float | None = None
    """time.monotonic() when the trial in flight began to wait for workers; None while it has them"""
    meeting: tuple[int, str, int] | None = None
    """Of the latest start that got so far: its number, and address and port of its first worker"""


class Channel:
    """Every method is called by name over Ray; state changes notify all waiters."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}
        self._changed = asyncio.Condition()
        self._interrupted = False

    # ---- called by the slot: Tune's side

    async def submit(self, slot: str, task: Task) -> None:
        """Give a slot its next trial."""
        state = self._slot(slot)
        state.task, state.taken, state.first_attempt = task, False, task.attempt
        # Whoever still waits for the last trial's stop is let go: a waiting call takes a place in this actor.
        state.stop.set()
        state.inbox, state.stop = asyncio.Queue(), asyncio.Event()
        state.sequence += 1
        state.waiting_since = time.monotonic()
        if self._interrupted:
            self._interrupt_slot(state)
        elif state.ended:
            self._fail(state, GROUP_ENDED)
        else:
            state.failure = "", ""
        await self._notify()

    async def next_message(self, slot: str) -> Message:
        """Wait for what the slot's group says next."""
        return await self._slot(slot).inbox.get()

    async def group_ended(self, slot: str, traceback: str) -> None:
        """The slot's worker group is gone for good; a trial in flight has failed, and any that comes will."""
        state = self._slot(slot)
        state.ended = True
        if not state.failure[0]:
            state.failure = traceback.strip().rpartition("\n")[2], traceback
        if state.task is not None:
            self._fail(state, GROUP_ENDED)
        await self._notify()

    async def finish(self, slot: str) -> None:
        """Tell the slot's workers to return."""
        state = self._slot(slot)
        state.finished = True
        state.stop.set()
        await self._notify()

    # ---- called by the driver

    async def verdict(self, trial_id: str, go_on: bool) -> None:
        """Answer the record that a trial handed over last."""
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
        """How long each trial that has no workers has waited for them, by trial id."""
        return {
            state.task.trial_id: time.monotonic() - state.waiting_since
            for state in self._slots.values()
            if state.task is not None and state.waiting_since is not None
        }

    async def interrupt(self) -> None:
        """End every trial between two batches, and take no new one."""
        self._interrupted = True
        for state in self._slots.values():
            self._interrupt_slot(state)
        await self._notify()

    # ---- called by Train's controller

    async def starting(self, slot: str) -> int | None:
        """A group's processes are there: the number of this start, or None to give up.

        That is when they died too often before they were ready for a trial.
        """
        state = self._slot(slot)
        state.starts += 1
        state.unready_starts += 1
        return state.starts if state.unready_starts <= MAX_ATTEMPTS else None

    async def stopping(self, slot: str) -> None:
        """A group's processes are about to be ended, or some are dead."""
        self._slot(slot).waiting_since = time.monotonic()

    # ---- called by the workers

    async def meet_at(self, slot: str, start: int, address: str, port: int) -> None:
        """Where rank 0 of this start waits for the others."""
        self._slot(slot).meeting = start, address, port
        await self._notify()

    async def meeting_place(self, slot: str, start: int) -> tuple[str, int]:
        """Wait for rank 0 of this start; returns its address and port."""
        state = self._slot(slot)
        async with self._changed:
            await self._changed.wait_for(lambda: state.meeting is not None and state.meeting[0] == start)
        assert state.meeting is not None
        return state.meeting[1:]

    async def join(self, slot: str) -> tuple[int, int]:
        """A group has started (called by rank 0): its generation and the sequence number to ask for tasks after."""
        state = self._slot(slot)
        state.generation += 1
        if state.verdict is not None and not state.verdict.done():
            state.verdict.cancel()
        after = state.sequence
        if state.task is not None:
            if not state.taken:
                # What was noted since then is of an earlier trial.
                state.failure = "", ""
            else:
                state.task, state.taken = replace(state.task, attempt=state.task.attempt + 1), False
            if state.task.attempt - state.first_attempt >= MAX_ATTEMPTS:
                self._fail(state, f"its workers died {MAX_ATTEMPTS} times")
            else:
                state.sequence += 1
                after = state.sequence - 1
        await self._notify()
        return state.generation, after

    async def next_task(self, slot: str, generation: int, after: int) -> tuple[int, Task] | None:
        """Wait for the task that follows sequence number ``after``; None when the worker should return."""
        state = self._slot(slot)
        if state.generation == generation:
            state.unready_starts = 0

        def ready() -> bool:
            return (
                state.finished or state.generation != generation or (state.task is not None and state.sequence > after)
            )

        async with self._changed:
            await self._changed.wait_for(ready)
        if state.finished or state.generation != generation or state.task is None:
            return None
        state.taken, state.waiting_since = True, None
        return state.sequence, state.task

    async def hand_over(self, slot: str, generation: int, message: Message) -> bool:
        """Pass an epoch's record on; returns whether to train the next epoch.

        A message with a status ends the trial and is not answered by anyone: the result is False at once.
        """
        state = self._slot(slot)
        current = state.task
        if state.generation != generation or current is None or current.trial_id != message.trial_id:
            return False
        if message.status is not None:
            state.task = None
            state.inbox.put_nowait(message)
            return False
        state.verdict = asyncio.get_running_loop().create_future()
        state.inbox.put_nowait(message)
        try:
            return await state.verdict
        except asyncio.CancelledError:
            return False

    async def note_failure(self, slot: str, reason: str, traceback: str) -> None:
        """Keep why a worker is about to end its process; a trial in flight gets another attempt."""
        self._slot(slot).failure = reason, traceback

    async def should_stop(self, slot: str, generation: int) -> None:
        """Return once the trial in flight must end between two batches."""
        state = self._slot(slot)
        if state.generation == generation:
            await state.stop.wait()

    # ---- inside

    def _slot(self, slot: str) -> _Slot:
        return self._slots.setdefault(slot, _Slot())

    def _interrupt_slot(self, state: _Slot) -> None:
        state.stop.set()
        if state.verdict is not None and not state.verdict.done():
            state.verdict.set_result(False)
        if state.task is not None:
            message = Message(state.task.trial_id, status="interrupted")
            state.task = None
            state.inbox.put_nowait(message)

    def _fail(self, state: _Slot, what: str) -> None:
        assert state.task is not None
        why, traceback = state.failure
        reason = f"{what}: {why}" if why else f"{what}; see Ray's logs"
        state.inbox.put_nowait(Message(state.task.trial_id, status="failed", reason=reason, traceback=traceback))
        state.task = None

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
