"""The channel of a sweep: one zero-CPU actor that carries tasks to warm worker groups, records to Tune, verdicts back.

Names used here: A *slot* is one warm worker group and the Tune actor in front of it. A *generation* counts the
starts of a slot's group; a group that starts again voids everything that its predecessor waited for. A task's
*attempt* counts the starts of one trial. Every wait ends: with a verdict, a new generation, an interrupt or the slot's
end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from segray.clock import hold_clock, release_clock, working_time
from segray.cluster.messages import Message, Task
from segray.cluster.slot_state import MAX_ATTEMPTS, Causes, Life, SlotState

GROUP_ENDED = "the trial's worker group could not be kept running"


class ChannelError(Exception):
    """A value that a worker waits for will not come."""


class Channel:
    """The actor between the driver, the slots and the workers.

    Every method is called by name over Ray (see ``handle``). A change of state wakes all waiters.
    """

    def __init__(self) -> None:
        self._slots: dict[str, SlotState] = {}
        self._changed = asyncio.Condition()
        self._interrupted = False
        self._held, self._num_holds = False, 0

    # ---- called by the slot: Tune's side

    async def submit(self, slot: str, task: Task) -> None:
        """Give a slot its next trial."""
        for other in self._slots.values():
            if other.flight is not None and other.runs(task.trial_id):
                # The process in front of the other slot died; workers that outlived it must not go on with the trial.
                attempt, seconds = other.flight.task.attempt + 1, other.flight.seconds()
                task = replace(task, attempt=max(task.attempt, attempt), seconds=max(task.seconds, seconds))
                other.void()
                other.flight = None
        state = self._slot(slot)
        state.begin(task)
        if self._interrupted:
            state.interrupt()
        elif state.life is Life.ENDED:
            state.fail(GROUP_ENDED)
        else:
            # A trial is not blamed for what ended the last trial's workers.
            state.causes = Causes()
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
            # Train only reports that it gave the group up; the causes that workers gave tell more.
            if not (gave_up and state.causes.best_known()[0]):
                state.causes.seen = reason, traceback
            state.lose_workers()
        state.unready_runs += 1
        go_on = not gave_up and state.life is Life.OPEN and state.unready_runs <= MAX_ATTEMPTS
        if not go_on:
            state.life = Life.ENDED
            if state.flight is not None:
                state.fail(GROUP_ENDED)
        await self._notify()
        return go_on

    async def finish(self, slot: str) -> None:
        """Tell the slot's workers to return."""
        state = self._slot(slot)
        if state.life is Life.OPEN:
            state.life = Life.FINISHED
        state.stop.set()
        await self._notify()

    # ---- called by the driver

    async def verdict(self, trial_id: str, go_on: bool) -> None:
        """Answer the last record of a trial: whether the trial goes on."""
        for state in self._slots.values():
            if not state.runs(trial_id):
                continue
            # In mid-epoch no worker waits for an answer: a stop must reach the trial between two batches.
            if not state.answer(go_on=go_on) and not go_on:
                state.stop.set()
            if not go_on:
                state.flight = None
        await self._notify()

    async def stop(self, trial_id: str, reason: str) -> None:
        """End a trial as stopped, between two batches; do nothing if it is not in flight.

        Args:
            trial_id: The trial.
            reason: Why it ends, for its outcome.
        """
        for state in self._slots.values():
            if state.runs(trial_id):
                state.stop_flight(reason)
        await self._notify()

    async def hold(self, held: bool) -> None:
        """Let the workers of all trials wait between two batches, or go on; the wait is no part of a trial's time."""
        if held and not self._held:
            self._num_holds += 1
        self._held = held
        (hold_clock if held else release_clock)()
        await self._notify()

    async def waiting_seconds(self) -> dict[str, float]:
        """Return trial id -> seconds that the trial has waited for workers, for trials without workers."""
        flights = [state.flight for state in self._slots.values() if state.flight is not None]
        now = working_time()
        return {flight.task.trial_id: now - flight.since for flight in flights if not flight.has_workers}

    async def seconds(self, trial_id: str) -> float:
        """Return the time spent on a trial in flight, over all attempts; 0 if the trial is not in flight."""
        flights = [state.flight for state in self._slots.values() if state.flight is not None]
        return max((flight.seconds() for flight in flights if flight.task.trial_id == trial_id), default=0.0)

    async def interrupt(self) -> None:
        """End every trial between two batches, and take no new trials."""
        self._interrupted = True
        for state in self._slots.values():
            state.interrupt()
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
            state.causes.seen = state.causes.said.get(rank, (reason, log))
        state.lose_workers()
        await self._notify()

    # ---- called by the workers

    async def store_set(self, slot: str, start: int, key: str, value: bytes) -> None:
        """Keep a value for torch.distributed."""
        self._slot(slot).store_of(start)[key] = value
        await self._notify()

    async def store_add(self, slot: str, start: int, key: str, value: int) -> int:
        """Add to a number, which begins at 0; return the sum."""
        store = self._slot(slot).store_of(start)
        store[key] = str(int(store.get(key, b"0")) + value).encode()
        await self._notify()
        return int(store[key])

    async def store_has(self, slot: str, start: int, keys: list[str]) -> bool:
        """Return whether all keys have a value."""
        return self._slot(slot).store_of(start).keys() >= set(keys)

    async def store_get(self, slot: str, start: int, keys: list[str]) -> list[bytes]:
        """Wait until all keys have a value; return the values.

        Raises:
            ChannelError: A later start of the group has begun, so nobody will set the values.
        """
        state = self._slot(slot)
        store = state.store_of(start)
        async with self._changed:
            await self._changed.wait_for(lambda: store.keys() >= set(keys) or state.store[1] is not store)
        if not store.keys() >= set(keys):
            raise ChannelError(f"start {start} of the group of slot {slot} is over")
        return [store[key] for key in keys]

    async def join(self, slot: str) -> tuple[int, int]:
        """Begin a generation (called by rank 0); return its number and the sequence number to ask for tasks after."""
        state = self._slot(slot)
        state.lose_workers()
        # Earlier causes belong to an earlier trial, or are already in this trial's log.
        state.causes = Causes()
        # A trial in flight gets another number, so that every rank of the new start takes it once.
        after = state.sequence
        if state.flight is not None:
            state.sequence += 1
        await self._notify()
        return state.generation, after

    async def next_task(self, slot: str, generation: int, after: int) -> tuple[int, Task] | None:
        """Wait for the task that follows sequence number ``after``; return None when the worker should return."""
        state = self._slot(slot)
        if state.generation == generation:
            # Workers that ask for a task are ready; later deaths count against the trial, not the group.
            state.unready_starts = state.unready_runs = 0

        def is_over() -> bool:
            return state.life is not Life.OPEN or state.generation != generation

        async with self._changed:
            await self._changed.wait_for(lambda: is_over() or (state.flight is not None and state.sequence > after))
        if is_over() or state.flight is None:
            return None
        state.flight.take()
        return state.sequence, state.flight.task

    async def hand_over(self, slot: str, generation: int, message: Message) -> bool:
        """Pass on an epoch's record; return whether to train the next epoch.

        A message with a status ends the trial. Nobody answers it, so the result is False at once.
        """
        state = self._slot(slot)
        # Workers that outlive their group may still report; only the present generation counts.
        if state.flight is None or state.generation != generation or not state.runs(message.trial_id):
            return False
        if message.status is not None:
            state.end(message)
            return False
        # Deaths count from epoch to epoch, because a checkpoint keeps whole epochs.
        state.flight.deaths = 0
        state.causes = Causes()
        state.verdict = asyncio.get_running_loop().create_future()
        state.inbox.put_nowait(message)
        try:
            return await state.verdict
        except asyncio.CancelledError:
            # Another generation has taken over: SlotState.void() cancels the wait, and the old worker ends its trial.
            return False

    async def note_failure(self, slot: str, rank: int, reason: str, traceback: str) -> None:
        """Note why a worker is about to end its process; a trial in flight gets another attempt."""
        self._slot(slot).causes.said[rank] = reason, traceback

    async def should_stop(self, slot: str, generation: int) -> str:
        """Return once the trial in flight must end between two batches.

        Returns:
            The reason if the workers are to say when they have stopped; empty if nobody waits for them.
        """
        state = self._slot(slot)
        flight = state.flight
        if state.generation != generation or flight is None:
            return ""
        await state.stop.wait()
        return flight.stop_reason if state.flight is flight and state.generation == generation else ""

    async def hold_begins(self, slot: str, generation: int) -> None:
        """Return once the trial in flight must wait between two batches, or must end."""
        await self._until(slot, generation, lambda: self._held)

    async def hold_ends(self, slot: str, generation: int) -> None:
        """Return once the trial in flight may go on, or must end."""
        # A second hold frees those who wait for the end of the first: all ranks of a group must wait for the same one.
        number = self._num_holds
        await self._until(slot, generation, lambda: not self._held or self._num_holds != number)

    # ---- inside

    async def _until(self, slot: str, generation: int, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, or until the trial in flight ends."""
        state = self._slot(slot)
        stop = state.stop
        if state.generation == generation and state.flight is not None:
            async with self._changed:
                await self._changed.wait_for(lambda: is_so() or stop.is_set())

    def _slot(self, slot: str) -> SlotState:
        return self._slots.setdefault(slot, SlotState())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
