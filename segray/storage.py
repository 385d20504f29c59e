"""The files of a sweep, and the record of `records.py` that each file holds.

    STORAGE/NAME/
      sweep.json                    SweepInfo: what is searched, on what, with which versions
      splits.json                   SplitRecord: the images of the training, validation and test split
      test.json                     SplitScores of the best trial on the test split, if there is one
      state.json                    SweepState: running, finished or interrupted, and when this was last true
      study.db                      the Optuna study
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
        samples/STEM_prediction.png

STORAGE is a local path or a URL of a pyarrow filesystem (s3://, gs://, ...).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from segray.errors import DamagedError, StorageError
from segray.folder import Folder, open_folder
from segray.foreign import in_short
from segray.records import (
    CheckpointPointer,
    EpochRecord,
    Outcome,
    SplitRecord,
    StoredRecord,
    SweepInfo,
    SweepState,
)
from segray.split_scores import SplitScores
from segray.trial_log import TrialLog
from segray.values import Json, Values

TRAINING_STATE: Final = "training.pt"
"""File of a checkpoint that only a resume needs: optimiser, schedule, epoch."""

BASELINE_ID: Final = "0000"
"""Id of the first trial. It is trained to its end, since the search is measured against it."""

Record = TypeVar("Record", bound=StoredRecord)
T = TypeVar("T")


def _read(kind: type[Record], folder: Folder, name: str) -> Record | None:
    """Return the record in a JSON file, or None if the file is missing."""
    content = folder.read_json(name)
    try:
        return None if content is None else kind.model_validate(content)
    except ValidationError as error:
        raise folder.damaged(name, in_short(error)) from None


def undamaged(read: Callable[[], T | None]) -> T | None:
    """Return the result of a read, or None if the file is missing or damaged."""
    try:
        return read()
    except DamagedError:
        return None


def _damage(readers: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """Return file name -> why the file cannot be read, for unreadable files."""
    found = {}
    for name, read in readers.items():
        try:
            read()
        except DamagedError as error:
            found[name] = error.in_short
        except StorageError as error:
            found[name] = str(error)
    return found


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
class TrialFiles:
    """The files of one trial.

    A damaged file does not stop the other trials: each method says how it treats one, and ``damage`` names them.
    """

    id: str
    folder: Folder

    def damage(self) -> dict[str, str]:
        """Return small file -> why it cannot be read, in words that follow "trial 0003 ...: "."""
        return _damage(
            {
                "config.json": self.config,
                "values.json": self.values,
                "outcome.json": lambda: _read(Outcome, self.folder, "outcome.json"),
                "best.json": lambda: _read(CheckpointPointer, self.folder, "best.json"),
                "last.json": lambda: _read(CheckpointPointer, self.folder, "last.json"),
            }
        )

    def config(self) -> Json | None:
        """Return the resolved RunConfig as a nested mapping, or None before the trial started.

        Raises:
            DamagedError: The file does not hold a mapping.
        """
        return self._mapping("config.json")

    def write_config(self, config: BaseModel) -> None:
        """Write config.json."""
        self.folder.write_json("config.json", config.model_dump(mode="json"))

    def values(self) -> Json | None:
        """Return the values that the search drew for this trial by dotted key, or None before the trial started.

        Raises:
            DamagedError: The file does not hold a mapping.
        """
        return self._mapping("values.json")

    def write_values(self, values: Values) -> None:
        """Write values.json."""
        self.folder.write_json("values.json", dict(values))

    def append_record(self, record: EpochRecord) -> None:
        """Add one epoch's record."""
        if self.folder.is_local:
            self.folder.append_line("epochs.jsonl", record.model_dump_json())
        else:
            name = f"epochs/{record.epoch:05d}-{record.attempt:03d}.json"
            self.folder.write_bytes(name, record.model_dump_json().encode())

    def records(self) -> list[EpochRecord]:
        """Return the records by epoch, the later attempt for an epoch that ran twice, without damaged lines."""
        by_epoch: dict[int, EpochRecord] = {}
        for line in self._record_lines():
            try:
                record = EpochRecord.model_validate_json(line)
            except ValueError:
                continue
            by_epoch[record.epoch] = record
        last = self.pointer("last")
        if last is not None:
            by_epoch.setdefault(last.record.epoch, last.record)
        return [by_epoch[epoch] for epoch in sorted(by_epoch)]

    def record_damage(self) -> str:
        """Return how many records are missing or damaged, worded as in ``damage``; empty if none is."""
        known, outcome = {record.epoch for record in self.records()}, self.outcome()
        num_missing = max([*known, outcome.epochs if outcome else 0]) - len(known - {0})
        return f"{num_missing} of its epochs are missing or damaged in epochs.jsonl" if num_missing else ""

    def _record_lines(self) -> list[bytes]:
        if not self.folder.is_local:
            return [self.folder.read_bytes(f"epochs/{name}") for name in self.folder.names("epochs")]
        return self.folder.read_bytes("epochs.jsonl").splitlines() if self.folder.is_file("epochs.jsonl") else []

    def outcome(self) -> Outcome | None:
        """Return how the trial ended, or None while it has not ended; a damaged outcome counts as failed."""
        try:
            return _read(Outcome, self.folder, "outcome.json")
        except DamagedError as error:
            return Outcome(status="failed", reason=error.in_short)

    def has_failed(self) -> bool:
        """Return whether the trial ended so that its model should not be used."""
        outcome = self.outcome()
        return outcome is not None and outcome.status not in ("finished", "stopped")

    def finish(self, outcome: Outcome) -> None:
        """Write outcome.json, and delete all checkpoints but the best one; a failed trial also keeps its last one."""
        self.folder.write_json("outcome.json", outcome.model_dump(mode="json"))
        if outcome.status != "failed":
            self.folder.delete("last.json")
        self.drop_old_checkpoints()
        self.folder.remove_partials()
        best, last = self.pointer("best"), self.pointer("last")
        if best and (last is None or last.checkpoint != best.checkpoint):
            self.folder.delete(f"{best.checkpoint}/{TRAINING_STATE}")

    def mend_best(self) -> bool:
        """Write a damaged best.json again if the checkpoint that it named exists; return whether it exists."""
        last = self.pointer("last")
        if last is None:
            return False
        best = next((record for record in self.records() if record.epoch == last.record.best_epoch), None)
        if best is None or not self.folder.exists(f"checkpoints/{best.epoch}-{best.attempt}"):
            return False
        checkpoint = f"checkpoints/{best.epoch}-{best.attempt}"
        self.write_pointer("best", CheckpointPointer(checkpoint=checkpoint, record=best, seconds=last.seconds))
        return True

    def start_afresh(self) -> None:
        """Delete the results of earlier attempts, so that no score is left of a model that does not exist."""
        for name in ("last.json", "best.json", "epochs.jsonl", "epochs", "checkpoints"):
            self.folder.delete(name)

    def is_over(self, *, retry_failed: bool = False) -> bool:
        """Return whether the trial has ended.

        Args:
            retry_failed: Whether a failed trial counts as going on: the cause, such as lost nodes or a full disk, need
                not lie in its config.
        """
        outcome = self.outcome()
        return outcome is not None and not (retry_failed and outcome.status == "failed")

    def reopen(self) -> None:
        """Delete outcome.json, so that the trial goes on from its last checkpoint, or starts over without one."""
        outcome = self.outcome()
        if outcome is not None:
            TrialLog(self.folder).write(f"taken up again; it had {outcome.status}: {outcome.note}")
            self.folder.delete("outcome.json")

    def drop_old_checkpoints(self) -> None:
        """Delete the checkpoints that neither best.json nor last.json names; none while either is damaged."""
        try:
            pointers = [_read(CheckpointPointer, self.folder, name) for name in ("best.json", "last.json")]
        except DamagedError:
            return
        named = {pointer.checkpoint for pointer in pointers if pointer}
        for name in self.folder.names("checkpoints"):
            if f"checkpoints/{name}" not in named:
                self.folder.delete(f"checkpoints/{name}")

    def pointer(self, which: Literal["best", "last"]) -> CheckpointPointer | None:
        """Return the content of best.json or last.json, or None if the file is missing or damaged."""
        return undamaged(lambda: _read(CheckpointPointer, self.folder, f"{which}.json"))

    def write_pointer(self, which: Literal["best", "last"], pointer: CheckpointPointer) -> None:
        """Point best.json or last.json to a checkpoint that is complete."""
        self.folder.write_json(f"{which}.json", pointer.model_dump(mode="json"))

    def _mapping(self, name: str) -> Json | None:
        content = self.folder.read_json(name)
        if content is not None and not isinstance(content, dict):
            raise self.folder.damaged(name, f"it must hold a mapping, but holds a {type(content).__name__}")
        return content


@dataclass(frozen=True)
class SweepFiles:
    """The files of one sweep.

    A damaged file that a running sweep rewrites counts as missing; ``damage`` names it.
    """

    folder: Folder

    def damage(self) -> dict[str, str]:
        """Return small file beside sweep.json -> why it cannot be read."""
        return _damage(
            {
                "splits.json": self.splits,
                "test.json": lambda: _read(SplitScores, self.folder, "test.json"),
                "state.json": lambda: _read(SweepState, self.folder, "state.json"),
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
        info = _read(SweepInfo, self.folder, "sweep.json")
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
        return _read(SplitRecord, self.folder, "splits.json")

    def write_splits(self, splits: SplitRecord) -> None:
        """Write splits.json."""
        self.folder.write_json("splits.json", splits.model_dump(mode="json"))

    def test_scores(self) -> SplitScores | None:
        """Return the last scores of the best trial on the test split, or None if it was never scored."""
        return undamaged(lambda: _read(SplitScores, self.folder, "test.json"))

    def write_test_scores(self, scores: SplitScores) -> None:
        """Write test.json."""
        self.folder.write_json("test.json", scores.model_dump(mode="json"))

    def state(self) -> SweepState | None:
        """Return the last state that the sweep wrote."""
        return undamaged(lambda: _read(SweepState, self.folder, "state.json"))

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
