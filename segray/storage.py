"""The files of a sweep, and the record of `records.py` that each file holds.

    STORAGE/NAME/
      sweep.json                    SweepInfo: what is searched, on what, with which versions
      splits.json                   SplitRecord: the images of the training, validation and test split
      warm_start.json               WarmStart: what was taken from earlier sweeps, if any were named
      test.json                     SplitScores of the best trial on the test split, if there is one
      state.json                    SweepState: running, finished or interrupted, and when this was last true
      study.db                      the Optuna study
      requests/                     what persons ask of the running sweep, and answers: see `requests.py`
      report.html                   on local disks, written when the sweep ends
      samples/STEM_photo.png, STEM_truth.png            a few fixed validation images
      trials/ID/                    0007, or 0007-seed1-epochs6 for a repeat
        values.json                 dotted keys and values that the search drew or derived from drawn ones
        config.json                 the resolved RunConfig
        epochs.jsonl                one EpochRecord per line (on object stores: epochs/EPOCH-ATTEMPT.json)
        outcome.json                Outcome: how the trial ended, and why
        log.txt                     events of the trial, one per line
        best.json, last.json        CheckpointPointer
        checkpoints/EPOCH-ATTEMPT/  weights and the files to load them; only checkpoints named by a pointer count
        samples/STEM_prediction.png                       the best epoch's predictions
        samples/STEM_epoch_EPOCH.png                      predictions of one of them after epochs 1, 2, 4, 8, ...

STORAGE is a local path or a URL of a pyarrow filesystem (s3://, gs://, ...).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segray.errors import StorageError
from segray.folder import Folder, open_folder
from segray.records import CheckpointPointer, SplitRecord, SweepInfo, SweepState, WarmStart
from segray.split_scores import SplitScores
from segray.trial_files import TrialFiles, damage_of, read_record, undamaged

BASELINE_ID: Final = "0000"
"""Id of the first trial. It is trained to its end, since the search is measured against it."""


@dataclass(frozen=True, order=True)
class Repeat:
    """A trial's config trained again with another seed after the search, in its own trial folder."""

    trial: str
    """Id of the trial that is repeated"""
    seed: int
    epochs: int

    @property
    def id(self) -> str:
        """The name of the repeat's folder."""
        return f"{self.trial}-seed{self.seed}-epochs{self.epochs}"

    @classmethod
    def parse(cls, trial_id: str) -> Repeat | None:
        """Return the repeat that an id names; None if the id names no repeat."""
        found = re.fullmatch(r"(\d+)-seed(\d+)-epochs(\d+)", trial_id, re.ASCII)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))


@dataclass(frozen=True)
class SweepFiles:
    """The files of one sweep.

    A damaged file that a running sweep rewrites counts as missing; ``damage`` names it.
    """

    folder: Folder

    def damage(self) -> dict[str, str]:
        """Return small file beside sweep.json -> why it cannot be read."""
        return damage_of(
            {
                "splits.json": self.splits,
                "warm_start.json": self.warm_start,
                "test.json": lambda: read_record(SplitScores, self.folder, "test.json"),
                "state.json": lambda: read_record(SweepState, self.folder, "state.json"),
            }
        )

    @property
    def name(self) -> str:
        """The sweep's name, which is the name of its folder."""
        return self.folder.path.rsplit("/", 1)[-1]

    def exists(self) -> bool:
        """Return whether a sweep was started here."""
        return self.folder.exists("sweep.json")

    def info(self) -> SweepInfo:
        """Return the sweep's description.

        Raises:
            StorageError: There is no sweep here.
        """
        info = read_record(SweepInfo, self.folder, "sweep.json")
        if info is None:
            raise StorageError(
                f"no sweep at {self.folder.path!r}: it has no sweep.json; give the folder of a sweep, such as runs/NAME"
            )
        return info

    def write_info(self, info: SweepInfo) -> None:
        """Write sweep.json, once.

        Raises:
            StorageError: Another start with this name was faster, or the folder cannot be written.
        """
        if not self.folder.write_new_json("sweep.json", info.model_dump(mode="json")):
            raise StorageError(
                f"another start has made {self.folder.path!r} meanwhile; choose another --name, or continue that sweep "
                "with --resume when it has ended"
            )

    def splits(self) -> SplitRecord | None:
        """Return the images of each split, or None before the sweep wrote splits.json.

        Raises:
            DamagedError: The file is damaged; nothing can replace it.
        """
        return read_record(SplitRecord, self.folder, "splits.json")

    def write_splits(self, splits: SplitRecord) -> None:
        """Write splits.json."""
        self.folder.write_json("splits.json", splits.model_dump(mode="json"))

    def warm_start(self) -> WarmStart:
        """Return what the sweep took from earlier ones; an empty record if it took nothing.

        Raises:
            DamagedError: The file is damaged; nothing can replace it.
        """
        return read_record(WarmStart, self.folder, "warm_start.json") or WarmStart()

    def write_warm_start(self, warm: WarmStart) -> None:
        """Write warm_start.json."""
        self.folder.write_json("warm_start.json", warm.model_dump(mode="json"))

    def test_scores(self) -> SplitScores | None:
        """Return the last scores of the best trial on the test split, or None if it was never scored."""
        return undamaged(lambda: read_record(SplitScores, self.folder, "test.json"))

    def write_test_scores(self, scores: SplitScores) -> None:
        """Write test.json."""
        self.folder.write_json("test.json", scores.model_dump(mode="json"))

    def state(self) -> SweepState | None:
        """Return the last state that the sweep wrote."""
        return undamaged(lambda: read_record(SweepState, self.folder, "state.json"))

    def write_state(self, state: SweepState) -> None:
        """Write state.json."""
        self.folder.write_json("state.json", state.model_dump(mode="json"))

    def trial(self, trial_id: str) -> TrialFiles:
        """Return the files of a trial, which may not exist yet."""
        return TrialFiles(trial_id, self.folder.child(f"trials/{trial_id}"))

    def trial_names(self) -> list[str]:
        """Return the names of the folders of trials and repeats, sorted."""
        return self.folder.names("trials")

    def trials(self) -> list[TrialFiles]:
        """Return all started trials of the search, by id."""
        return [self.trial(name) for name in self.trial_names() if name.isdecimal()]

    def repeats(self) -> dict[Repeat, TrialFiles]:
        """Return all started repeats, by trial and seed."""
        found = sorted(filter(None, map(Repeat.parse, self.trial_names())))
        return {repeat: self.trial(repeat.id) for repeat in found}

    def trials_and_repeats(self) -> list[TrialFiles]:
        """Return all started trials and repeats."""
        return [*self.trials(), *self.repeats().values()]

    def best(self) -> tuple[TrialFiles, CheckpointPointer]:
        """Return the trial with the best score so far and its best checkpoint; see ``ranked``."""
        return self.ranked()[0]

    def ranked(self) -> list[tuple[TrialFiles, CheckpointPointer]]:
        """Return the trials that have a model, with their best checkpoints, the best first, by the objective.

        Running trials count, failed trials do not.

        Raises:
            StorageError: There is no sweep here, or none of its trials has a checkpoint.
        """
        objective = self.info().objective
        found = [
            (trial, pointer)
            for trial in self.trials()
            if (pointer := trial.pointer("best")) is not None and not trial.has_failed()
        ]
        if not found:
            raise StorageError(
                f"no trial of {self.folder.path!r} has a model: none has completed an epoch, or all have failed"
            )
        # Stable: of two trials with equal scores the earlier one is the better.
        return sorted(found, key=lambda item: -objective.rank(item[1].record.scores.get(objective.name)))


def open_sweep(location: str | Path) -> SweepFiles:
    """Return the sweep at a local path or URL, which may not exist yet."""
    return SweepFiles(open_folder(location))
