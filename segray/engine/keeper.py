"""The keeper of a trial's checkpoints: writes the new ones, deletes the replaced ones."""

from __future__ import annotations

import numpy as np

from segray.engine import checkpoint
from segray.engine.samples import is_shown_epoch, write_labels
from segray.engine.state import TrainState
from segray.labels import LabelSpace
from segray.records import CheckpointPointer, EpochRecord
from segray.trial_files import TrialFiles


class CheckpointKeeper:
    """The writer of a trial's checkpoints, which deletes those that neither best.json nor last.json names."""

    def __init__(self, files: TrialFiles, label_space: LabelSpace) -> None:
        self._files, self._label_space = files, label_space

    def keep(self, state: TrainState, record: EpochRecord, seconds: float, samples: dict[str, np.ndarray]) -> None:
        """Write a checkpoint, then its pointers, then the record, and delete the checkpoints that it replaces.

        The order makes every crash recoverable: a pointer never names a checkpoint that is only partly written.
        """
        name = f"checkpoints/{record.epoch}-{record.attempt}"
        checkpoint.save(state, self._files.folder.child(name))
        pointer = CheckpointPointer(checkpoint=name, record=record, seconds=seconds)
        if record.best_epoch == record.epoch:
            self._files.write_pointer("best", pointer)
            for stem, labels_HW in samples.items():
                write_labels(self._files.folder, f"{stem}_prediction", labels_HW, self._label_space)
        if is_shown_epoch(record.epoch) or state.is_finished:
            stem = min(samples)
            write_labels(self._files.folder, f"{stem}_epoch_{record.epoch:04d}", samples[stem], self._label_space)
        self._files.write_pointer("last", pointer)
        self._files.append_record(record)
        self._files.drop_old_checkpoints()
