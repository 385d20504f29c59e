"""Where a sweep's files lie, and which record of `records.py` each of them holds.

    STORAGE/NAME/
      sweep.json                    SweepInfo: what is searched, on what, with which versions
      splits.json                   SplitRecord: which images train, validate, and are kept for the end
      test.json                     SplitScores of the best trial on the images kept for the end, if there are any
      state.json                    SweepState: running, finished or interrupted, and when that was last true
      study.db                      the Optuna study
      report.html                   on local disks, written when the sweep ends
      samples/STEM_photo.png, STEM_truth.png            a few fixed validation images
      trials/ID/                    0007, or of a repeat 0007-seed1-epochs6
        values.json                 dotted keys that the search drew, and what follows from them, with the values
        config.json                 the resolved RunConfig
        epochs.jsonl                one EpochRecord a line (on object stores: epochs/EPOCH-ATTEMPT.json)
        outcome.json                Outcome: how it ended, and why
        log.txt                     what happened to the trial, a line an event
        best.json, last.json        CheckpointPointer
        checkpoints/EPOCH-ATTEMPT/  weights and what loads them; only pointed-to ones count
        samples/STEM_prediction.png

STORAGE is a local path or a URL of a pyarrow filesystem (s3://, gs://, ...).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from segray.errors import DamagedError, StorageError
from segray.folder import Folder, open_folder
from segray.foreign import in_short
from segray.records import (
    CheckpointPointer,
    EpochRecord,
    Outcome,
    SplitRecord,
    SplitScores,
    StoredRecord,
    SweepInfo,
    SweepState,
)
from segray.trial_log import TrialLog

TRAINING_STATE: Final = "training.pt"
"""File of a checkpoint that only a resume needs: optimiser, schedule, epoch."""

BASELINE_ID: Final = "0000"
"""The first trial: the search is measured against it, so it is trained to its end."""

Record = TypeVar("Record", bound=StoredRecord)
T = TypeVar("T")


def _read(kind: type[Record], folder: Folder, name: str) -> Record | None:
    """The record in a JSON file, or None if it is missing."""
    content = folder.read_json(name)
    try:
        return None if content is None else kind.model_validate(content)
    except ValidationError as error:
        raise folder.damaged(name, in_short(error)) from None


def undamaged(read: Callable[[], T | None]) -> T | None:
    """What is read, or None if it is missing or damaged."""
    try:
        return read()
    except DamagedError:
        return None


def _damage(readers: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """File name -> why it cannot be read, for those that cannot."""
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
    """A trial's config trained anew with another seed after the search: a trial folder with a name of its own."""

    trial: str
    """Id of the trial that is repeated"""
    seed: int
    epochs: int

    @property
    def id(self) -> str:
        """The name of its folder."""
        return f"{self.trial}-seed{self.seed}-epochs{self.epochs}"

    @classmethod
    def parse(cls, trial_id: str) -> Repeat | None:
        """The repeat that an id names; None where it names none."""
        found = re.fullmatch(r"(\d+)-seed(\d+)-epochs(\d+)", trial_id, re.ASCII)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))


@dataclass(frozen=True)
class TrialFiles:
    """The files of one trial.

    A damaged file does not keep the other trials from going on: see what each method makes of it. ``damage`` names it.
    """

    id: str
    folder: Folder

    def damage(self) -> dict[str, str]:
        """The small files that cannot be read -> why, in words that follow "trial 0003 ...: "."""
        return _damage(
            {
                "config.json": self.config,
                "values.json": self.values,
                "outcome.json": lambda: _read(Outcome, self.folder, "outcome.json"),
                "best.json": lambda: _read(CheckpointPointer, self.folder, "best.json"),
                "last.json": lambda: _read(CheckpointPointer, self.folder, "last.json"),
            }
        )

    def config(self) -> dict[str, Any] | None:
        """The resolved RunConfig as a nested mapping, or None before the trial started.

        Raises:
            DamagedError: The file holds something else.
        """
        return self._mapping("config.json")

    def write_config(self, config: BaseModel) -> None:
        """Write config.json."""
        self.folder.write_json("config.json", config.model_dump(mode="json"))

    def values(self) -> dict[str, Any] | None:
        """What the search drew for this trial, under dotted keys, or None before the trial started.

        Raises:
            DamagedError: The file holds something else.
        """
        return self._mapping("values.json")

    def write_values(self, values: Mapping[str, Any]) -> None:
        """Write values.json."""
        self.folder.write_json("values.json", dict(values))

    def append_record(self, record: EpochRecord) -> None:
        """Keep one epoch's record."""
        if self.folder.is_local:
            self.folder.append_line("epochs.jsonl", record.model_dump_json())
        else:
            name = f"epochs/{record.epoch:05d}-{record.attempt:03d}.json"
            self.folder.write_bytes(name, record.model_dump_json().encode())

    def records(self) -> list[EpochRecord]:
        """Records by epoch; of an epoch that ran twice, the later attempt. Damaged lines are left out."""
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
        """How many records are missing or damaged, as ``damage`` says it; empty where none is."""
        known, outcome = {record.epoch for record in self.records()}, self.outcome()
        num_missing = max([*known, outcome.epochs if outcome else 0]) - len(known - {0})
        return f"{num_missing} of its epochs are missing or damaged in epochs.jsonl" if num_missing else ""

    def _record_lines(self) -> list[bytes]:
        if not self.folder.is_local:
            return [self.folder.read_bytes(f"epochs/{name}") for name in self.folder.names("epochs")]
        return self.folder.read_bytes("epochs.jsonl").splitlines() if self.folder.is_file("epochs.jsonl") else []

    def outcome(self) -> Outcome | None:
        """How the trial ended, or None while it has not; of one whose outcome is damaged, that it failed."""
        try:
            return _read(Outcome, self.folder, "outcome.json")
        except DamagedError as error:
            return Outcome(status="failed", reason=error.in_short)

    def has_failed(self) -> bool:
        """Whether the trial ended in a way that its model should not be used."""
        outcome = self.outcome()
        return outcome is not None and outcome.status not in ("finished", "stopped")

    def finish(self, outcome: Outcome) -> None:
        """Write outcome.json: the trial is over. Of its checkpoints only the best stays, unless it may be reopened."""
        self.folder.write_json("outcome.json", outcome.model_dump(mode="json"))
        if outcome.status != "failed":
            self.folder.delete("last.json")
        self.drop_old_checkpoints()
        self.folder.remove_partials()
        best, last = self.pointer("best"), self.pointer("last")
        if best and (last is None or last.checkpoint != best.checkpoint):
            self.folder.delete(f"{best.checkpoint}/{TRAINING_STATE}")

    def mend_best(self) -> bool:
        """Write a damaged best.json again if the checkpoint is there that it must have named; returns whether it is."""
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
        """Delete what earlier attempts trained, so that no figure is left of a model that is not there."""
        for name in ("last.json", "best.json", "epochs.jsonl", "epochs", "checkpoints"):
            self.folder.delete(name)

    def is_over(self, *, retry_failed: bool = False) -> bool:
        """Whether the trial has ended.

        Args:
            retry_failed: Whether one that has failed counts as going on: what failed it, such as lost nodes or a full
                disk, need not lie in its config.
        """
        outcome = self.outcome()
        return outcome is not None and not (retry_failed and outcome.status == "failed")

    def reopen(self) -> None:
        """Delete outcome.json, so that the trial goes on from its last checkpoint, or else begins again."""
        outcome = self.outcome()
        if outcome is not None:
            TrialLog(self.folder).write(f"taken up again; it had {outcome.status}: {outcome.note}")
            self.folder.delete("outcome.json")

    def drop_old_checkpoints(self) -> None:
        """Delete the checkpoints that neither best.json nor last.json names; none while one of these is damaged."""
        try:
            pointers = [_read(CheckpointPointer, self.folder, name) for name in ("best.json", "last.json")]
        except DamagedError:
            return
        named = {pointer.checkpoint for pointer in pointers if pointer}
        for name in self.folder.names("checkpoints"):
            if f"checkpoints/{name}" not in named:
                self.folder.delete(f"checkpoints/{name}")

    def pointer(self, which: Literal["best", "last"]) -> CheckpointPointer | None:
        """What best.json or last.json points to, or None if there is none, or it is damaged."""
        return undamaged(lambda: _read(CheckpointPointer, self.folder, f"{which}.json"))

    def write_pointer(self, which: Literal["best", "last"], pointer: CheckpointPointer) -> None:
        """Point best.json or last.json to a checkpoint that is whole."""
        self.folder.write_json(f"{which}.json", pointer.model_dump(mode="json"))

    def _mapping(self, name: str) -> dict[str, Any] | None:
        content = self.folder.read_json(name)
        if content is not None and not isinstance(content, dict):
            raise self.folder.damaged(name, f"it must hold a mapping, but holds a {type(content).__name__}")
        return content


@dataclass(frozen=True)
class SweepFiles:
    """The files of one sweep.

    What is rewritten while a sweep runs counts as missing where it is damaged; ``damage`` names it.
    """

    folder: Folder

    def damage(self) -> dict[str, str]:
        """The small files beside sweep.json that cannot be read -> why."""
        return _damage(
            {
                "splits.json": self.splits,
                "test.json": lambda: _read(SplitScores, self.folder, "test.json"),
                "state.json": lambda: _read(SweepState, self.folder, "state.json"),
            }
        )

    @property
    def name(self) -> str:
        """The sweep's name: its folder's."""
        return self.folder.path.rsplit("/", 1)[-1]

    def exists(self) -> bool:
        """Whether a sweep was started here."""
        return self.folder.exists("sweep.json")

    def info(self) -> SweepInfo:
        """What the sweep is.

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
            StorageError: Another start of this name was faster, or the place cannot be written.
        """
        if not self.folder.write_new_json("sweep.json", info.model_dump(mode="json")):
            raise StorageError(
                f"another start has made {self.folder.path!r} meanwhile; choose another --name, or continue that one "
                "with --resume when it has ended"
            )

    def splits(self) -> SplitRecord | None:
        """Which images are on which side, or None before the sweep wrote it.

        Raises:
            DamagedError: It is damaged; nothing can take its place.
        """
        return _read(SplitRecord, self.folder, "splits.json")

    def write_splits(self, splits: SplitRecord) -> None:
        """Write splits.json."""
        self.folder.write_json("splits.json", splits.model_dump(mode="json"))

    def test_scores(self) -> SplitScores | None:
        """What the best trial scored on the test split when it was last judged, or None if it was not."""
        return undamaged(lambda: _read(SplitScores, self.folder, "test.json"))

    def write_test_scores(self, scores: SplitScores) -> None:
        """Write test.json."""
        self.folder.write_json("test.json", scores.model_dump(mode="json"))

    def state(self) -> SweepState | None:
        """What the sweep was doing when it last said so."""
        return undamaged(lambda: _read(SweepState, self.folder, "state.json"))

    def write_state(self, state: SweepState) -> None:
        """Write state.json."""
        self.folder.write_json("state.json", state.model_dump(mode="json"))

    def trial(self, trial_id: str) -> TrialFiles:
        """The files of one trial, there or not yet."""
        return TrialFiles(trial_id, self.folder.child(f"trials/{trial_id}"))

    def trials(self) -> list[TrialFiles]:
        """Every trial of the search that has started, by id."""
        return [self.trial(name) for name in self.folder.names("trials") if name.isdecimal()]

    def repeats(self) -> dict[Repeat, TrialFiles]:
        """Every repeat that has started, by trial and seed."""
        found = sorted(filter(None, map(Repeat.parse, self.folder.names("trials"))))
        return {repeat: self.trial(repeat.id) for repeat in found}

    def trials_and_repeats(self) -> list[TrialFiles]:
        """Everything that has been trained."""
        return [*self.trials(), *self.repeats().values()]

    def best(self) -> tuple[TrialFiles, CheckpointPointer]:
        """The trial with the highest validation mIoU so far and its best checkpoint; running ones count, failed do not.

        Raises:
            StorageError: There is no sweep here, or none of its trials has a checkpoint.
        """
        self.info()
        found = [
            (trial, pointer)
            for trial in self.trials()
            if (pointer := trial.pointer("best")) is not None and not trial.has_failed()
        ]
        if not found:
            raise StorageError(
                f"no trial of {self.folder.path!r} has a model: none has completed an epoch, or all have failed"
            )
        return max(found, key=lambda item: item[1].record.val_miou or 0.0)


def open_sweep(location: str | Path) -> SweepFiles:
    """The sweep at a local path or URL, there or not yet."""
    return SweepFiles(open_folder(location))
