"""The keeper of a trial's checkpoints: writes the new ones, deletes the replaced ones."""

from __future__ import annotations

import numpy as np

from segray.clock import working_time
from segray.engine import checkpoint
from segray.engine.samples import is_shown_epoch, write_labels
from segray.engine.state import TrainState
from segray.labels import LabelSpace
from segray.records import CheckpointPointer, EpochRecord
from segray.trial_files import TrialFiles


class CheckpointKeeper:
    """The writer of a trial's checkpoints, which deletes those that neither best.json nor last.json names.

    It counts the trial's time from its creation; time on hold is none of it.

    Args:
        files: The trial's folder.
        seconds_before: Time spent on the trial before.
    """

    def __init__(self, files: TrialFiles, seconds_before: float) -> None:
        self._files, self._started, self._seconds_before = files, working_time(), seconds_before

    def count_from(self, seconds_before: float) -> None:
        """Count at least so many seconds before this start of the trial."""
        self._seconds_before = max(self._seconds_before, seconds_before)

    def keep(
        self, state: TrainState, record: EpochRecord, samples: dict[str, np.ndarray], label_space: LabelSpace
    ) -> None:
        """Write a checkpoint, then its pointers, then the record, and delete the checkpoints that it replaces.

        The order makes every crash recoverable: a pointer never names a checkpoint that is only partly written.
        """
        name = f"checkpoints/{record.epoch}-{record.attempt}"
        checkpoint.save(state, self._files.folder.child(name))
        seconds = self._seconds_before + working_time() - self._started
        pointer = CheckpointPointer(checkpoint=name, record=record, seconds=seconds)
        if record.best_epoch == record.epoch:
            self._files.write_pointer("best", pointer)
            for stem, labels_HW in samples.items():
                write_labels(self._files.folder, f"{stem}_prediction", labels_HW, label_space)
        if is_shown_epoch(record.epoch) or state.is_finished:
            stem = min(samples)
            write_labels(self._files.folder, f"{stem}_epoch_{record.epoch:04d}", samples[stem], label_space)
        self._files.write_pointer("last", pointer)
        self._files.append_record(record)
        self._files.drop_old_checkpoints()
