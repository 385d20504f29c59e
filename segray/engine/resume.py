"""Where a trial goes on: its last checkpoint, else its best one, else its start; what is damaged is passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segray.activity import doing
from segray.engine import checkpoint
from segray.engine.distributed import gather_over_ranks, rank
from segray.engine.state import TrainState
from segray.errors import DamagedError
from segray.records import CheckpointPointer
from segray.storage import TrialFiles
from segray.trial_log import TrialLog


def reached_checkpoints(files: TrialFiles, log: TrialLog) -> list[CheckpointPointer]:
    """The checkpoints of earlier attempts that this one may start from, the latest first; for rank 0.

    Args:
        files: The trial, in which no other process may write; what attempts that were killed left goes.
        log: Told which pointer is damaged.

    Raises:
        StorageError: The storage cannot be reached.
    """
    files.folder.remove_partials()
    damage = files.damage()
    last = files.pointer("last")
    if last is not None:
        # The crash may have come between the pointer and the record.
        files.append_record(last.record)
    if "last.json" in damage:
        log.write(f"{damage['last.json']}: the trial goes on from its best checkpoint, or starts afresh")
    if "best.json" in damage:
        mended = "it is written again" if files.mend_best() else "no checkpoint is known to be the best"
        log.write(f"{damage['best.json']}: {mended}")
    pointers = {pointer.checkpoint: pointer for pointer in (last, files.pointer("best")) if pointer}
    return list(pointers.values())


def resumed_state(
    reached: Sequence[CheckpointPointer], files: TrialFiles, log: TrialLog, build: Callable[[], TrainState]
) -> tuple[TrainState, CheckpointPointer | None]:
    """The state to train on, and the checkpoint that it is from; every rank calls this alike.

    Args:
        reached: What ``reached_checkpoints`` gave.
        files: The trial.
        log: Told which checkpoint cannot be used, and what is done instead.
        build: Makes a run before its first epoch.

    Raises:
        StorageError: A checkpoint cannot be read, or is of another model.
    """
    for pointer in reached:
        state = build()
        damage = _restore(state, files, pointer)
        if not damage:
            return state, pointer
        log.write(f"checkpoint {pointer.checkpoint} cannot be used: {damage}")
    if rank() == 0 and (reached or files.folder.exists("checkpoints")):
        log.write("no checkpoint can be used: the trial starts afresh")
        files.start_afresh()
    return build(), None


def _restore(state: TrainState, files: TrialFiles, pointer: CheckpointPointer) -> str:
    """Restore a state; why it is damaged on any rank, else nothing."""
    doing("reading a checkpoint")
    try:
        checkpoint.restore(state, files.folder.child(pointer.checkpoint))
        damage = ""
    except DamagedError as error:
        damage = error.in_short
    return next(filter(None, gather_over_ranks(damage)), "")
