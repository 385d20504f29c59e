"""Resuming a trial from its last checkpoint; if that is damaged, from its best one; else from the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segray.activity import doing
from segray.engine import checkpoint
from segray.engine.distributed import gather_over_ranks, rank
from segray.engine.start_weights import start_from_weights
from segray.engine.state import TrainState
from segray.errors import DamagedError
from segray.records import CheckpointPointer
from segray.trial_files import TrialFiles
from segray.trial_log import TrialLog


def reached_checkpoints(files: TrialFiles, log: TrialLog) -> list[CheckpointPointer]:
    """Return the checkpoints of earlier attempts that this attempt may resume from, the latest first; for rank 0.

    Removes partly written files of killed attempts, and mends the record of the last epoch and best.json.

    Args:
        files: The trial; no other process may write to it.
        log: The log for damaged pointers.

    Raises:
        StorageError: The storage cannot be reached.
    """
    files.folder.remove_partials()
    damage = files.damage()
    last = files.pointer("last")
    if last is not None:
        # The earlier attempt may have died after writing the pointer and before writing the record.
        files.append_record(last.record)
    if "last.json" in damage:
        log.write(f"{damage['last.json']}: the trial resumes from its best checkpoint, or starts afresh")
    if "best.json" in damage:
        mended = "best.json is written again" if files.mend_best() else "the best checkpoint is not known"
        log.write(f"{damage['best.json']}: {mended}")
    pointers = {pointer.checkpoint: pointer for pointer in (last, files.pointer("best")) if pointer}
    return list(pointers.values())


def resumed_state(
    reached: Sequence[CheckpointPointer], files: TrialFiles, log: TrialLog, build: Callable[[], TrainState]
) -> tuple[TrainState, CheckpointPointer | None]:
    """Return the state to train on, and the checkpoint that it comes from; every rank calls this.

    Args:
        reached: The result of ``reached_checkpoints``.
        files: The trial.
        log: The log for checkpoints that cannot be used, and for what happens instead.
        build: Builds the state of a run before its first epoch.

    Raises:
        StorageError: A checkpoint cannot be read, or belongs to another model.
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
    state = build()
    start_from_weights(state, log)
    return state, None


def _restore(state: TrainState, files: TrialFiles, pointer: CheckpointPointer) -> str:
    """Restore a state; return the damage that any rank found, or an empty string."""
    doing("reading a checkpoint")
    try:
        checkpoint.restore(state, files.folder.child(pointer.checkpoint))
        damage = ""
    except DamagedError as error:
        damage = error.in_short
    return next(filter(None, gather_over_ranks(damage)), "")
