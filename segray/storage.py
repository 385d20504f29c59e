"""Where a sweep's files lie, and the records in them: written by engine and tuning, read by results.

    STORAGE/NAME/
      sweep.json                    SweepInfo: what is searched, on what, with which versions
      splits.json                   SplitRecord: which images train, validate, and are kept for the end
      test.json                     SplitScores of the best trial on the images kept for the end, if there are any
      state.json                    SweepState: running, finished or interrupted, and when that was last true
      study.db                      the Optuna study
      report.html                   on local disks, written when the sweep ends
      samples/STEM_photo.png, STEM_truth.png            a few fixed validation images
      trials/ID/
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

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from segray.errors import StorageError
from segray.folder import Folder, open_folder

METRIC: Final = "val_miou"
"""The objective of every sweep, maximised."""

TRAINING_STATE: Final = "training.pt"
"""File of a checkpoint that only a resume needs: optimiser, schedule, epoch."""

SplitKind = Literal["official", "ratio", "kfold"]
"""How images are divided: by the data set itself, by shares or counts, into parts each of which validates once."""

OutcomeStatus = Literal["finished", "stopped", "failed", "diverged", "out_of_memory"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Record = TypeVar("Record", bound=_Record)


class EpochRecord(_Record):
    """What one completed epoch gave. Fractions are 0 to 1; a value that could not be computed is None."""

    epoch: int
    """Completed epochs, from 1"""
    attempt: int = 1
    """Which start of the trial this epoch ran in, from 1"""
    train_loss: float | None
    val_loss: float | None
    """Loss of each validation image, averaged by their labelled pixels; does not depend on batch size or workers"""
    val_miou: float | None
    """Mean IoU over the classes with TP + FP + FN > 0 in the whole validation split"""
    val_iou: tuple[float | None, ...]
    """IoU per class in training-id order; None for a class that is neither present nor predicted"""
    val_pixel_accuracy: float | None
    val_mean_class_accuracy: float | None
    val_cluster_accuracy: float | None = None
    """Pixel accuracy on the clusters that the model was trained on, where the other scores are on palette classes;
    comparable only between trials of the same clusters"""
    learning_rate: float
    """Learning rate of the epoch's last step"""
    images_per_second: float
    """Training images over the time spent training, all workers together"""
    epoch_seconds: float
    """Training and validation"""
    peak_memory_bytes: int | None
    """Most that was held since this attempt began, the largest over workers: by the allocator on a GPU, else resident
    memory; None where the system cannot tell (Linux can)"""
    best_val_miou: float | None
    best_epoch: int | None


class Outcome(_Record):
    """How a trial ended."""

    status: OutcomeStatus
    reason: str = ""
    """One sentence for a person"""
    traceback: str = ""
    epochs: int = 0
    """Completed epochs"""
    best_val_miou: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    """Time a worker group spent on the trial, over all attempts"""


class CheckpointPointer(_Record):
    """Content of best.json and last.json; written after the checkpoint it names is whole."""

    checkpoint: str
    """Folder below the trial's folder, such as checkpoints/3-1"""
    record: EpochRecord
    seconds: float
    """Time spent on the trial when the checkpoint was written"""


class SweepInfo(_Record):
    """What a sweep is: written once, at its start."""

    name: str
    created_at: str
    """ISO 8601, UTC"""
    command: str
    metric: str = METRIC
    mode: Literal["max"] = "max"
    base: dict[str, Any]
    """The base RunConfig under dotted keys"""
    space: dict[str, str]
    """Searched dotted key -> its distribution in words"""
    first_trials: tuple[dict[str, Any], ...] = ()
    searcher: str = "tpe"
    scheduler: str = "asha"
    seed: int = 0
    max_epochs: int
    """No trial runs longer"""
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    majority_class: str
    majority_val_miou: float
    """mIoU of predicting the training split's most frequent class everywhere"""
    encoder_weights: str = ""
    """What encoder_weights=auto came to, in words"""
    versions: dict[str, str] = {}
    git_revision: str = ""
    hardware: dict[str, Any] = {}


class SplitRecord(_Record):
    """Which images are on which side, and how they came there: the same for all trials; written once, at the start.

    Images are under their names, with the bytes of their photo and label files together.
    """

    dataset: str
    kind: SplitKind
    """What data.split.kind came to"""
    sizes: tuple[float, float, float] | None = None
    """Shares or counts of train, val and test (ratio)"""
    folds: int | None = None
    """(kfold)"""
    fold: int | None = None
    """The part that validates, from 0 (kfold)"""
    seed: int | None = None
    """Where chance had a part"""
    holdout: float = 0.0
    """Share of the training images that were kept as test split"""
    train: dict[str, int]
    val: dict[str, int]
    test: dict[str, int]
    """May be empty"""
    labels: dict[str, str] = {}
    """For each choice of labels that the space holds, as far as it was checked: hash of the config's part that chooses
    them -> hash of all that the labels depend on besides the files, such as a K-Means fit"""


class SplitScores(_Record):
    """What a trial's best checkpoint scores on the images of a split. Fractions are 0 to 1."""

    split: Literal["val", "test"]
    trial: str
    epoch: int
    num_images: int
    miou: float | None
    """Mean IoU over the classes with TP + FP + FN > 0 in the whole split"""
    classes: tuple[str, ...]
    iou: tuple[float | None, ...]
    """IoU per class; None for a class that is neither present nor predicted"""
    pixel_accuracy: float | None
    mean_class_accuracy: float | None
    frequency_weighted_iou: float | None
    """IoU averaged by the classes' shares of the labelled pixels"""
    cluster_accuracy: float | None = None
    """As EpochRecord.val_cluster_accuracy has it"""
    recorded_val_miou: float | None
    """The trial's validation figure at that epoch, by which it was chosen"""
    device: str
    """cpu or cuda"""
    evaluated_at: str
    """ISO 8601, UTC"""


SILENCE_SECONDS: Final = 60.0
"""A running sweep writes its state every few seconds; one silent for longer is dead."""


class SweepState(_Record):
    """What a sweep is doing; rewritten every few seconds while it runs."""

    status: Literal["running", "finished", "interrupted"]
    updated_at: float
    """Unix time"""
    seconds: float
    """Wall time over all starts of the sweep"""
    trials: int
    """Trials asked for"""
    driver: str = ""
    """HOST:PID of the process that runs it"""

    @property
    def is_alive(self) -> bool:
        """Whether it runs, as far as its files tell."""
        return self.status == "running" and time.time() - self.updated_at <= SILENCE_SECONDS


def _read(kind: type[Record], folder: Folder, name: str) -> Record | None:
    """The record in a JSON file, or None if it is missing."""
    content = folder.read_json(name)
    try:
        return None if content is None else kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ": ".join([*map(str, first["loc"]), first["msg"]])
        raise StorageError(
            f"{folder.child(name).path!r} is damaged, or another version's ({where}); restore it, or begin anew"
        ) from None


@dataclass(frozen=True)
class TrialFiles:
    """The files of one trial."""

    id: str
    folder: Folder

    def config(self) -> dict[str, Any] | None:
        """The resolved RunConfig as a nested mapping, or None before the trial started."""
        content: dict[str, Any] | None = self.folder.read_json("config.json")
        return content

    def write_config(self, config: BaseModel) -> None:
        """Write config.json."""
        self.folder.write_json("config.json", config.model_dump(mode="json"))

    def append_record(self, record: EpochRecord) -> None:
        """Keep one epoch's record."""
        if self.folder.is_local:
            self.folder.append_line("epochs.jsonl", record.model_dump_json())
        else:
            name = f"epochs/{record.epoch:05d}-{record.attempt:03d}.json"
            self.folder.write_bytes(name, record.model_dump_json().encode())

    def records(self) -> list[EpochRecord]:
        """Records by epoch; of an epoch that ran twice, the later attempt. A line cut short by a crash is left out."""
        if self.folder.is_local:
            text = self.folder.read_bytes("epochs.jsonl") if self.folder.exists("epochs.jsonl") else b""
            lines = text.splitlines()
        else:
            lines = [self.folder.read_bytes(f"epochs/{name}") for name in self.folder.names("epochs")]
        by_epoch: dict[int, EpochRecord] = {}
        for line in lines:
            try:
                record = EpochRecord.model_validate_json(line)
            except ValueError:
                continue
            by_epoch[record.epoch] = record
        last = self.pointer("last")
        if last is not None:
            by_epoch.setdefault(last.record.epoch, last.record)
        return [by_epoch[epoch] for epoch in sorted(by_epoch)]

    def outcome(self) -> Outcome | None:
        """How the trial ended, or None while it has not."""
        return _read(Outcome, self.folder, "outcome.json")

    def has_failed(self) -> bool:
        """Whether the trial ended in a way that its model should not be used."""
        outcome = self.outcome()
        return outcome is not None and outcome.status not in ("finished", "stopped")

    def finish(self, outcome: Outcome) -> None:
        """Write outcome.json: the trial is over and will not be run again. Of its checkpoints only the best stays."""
        self.folder.write_json("outcome.json", outcome.model_dump(mode="json"))
        self.folder.delete("last.json")
        self.drop_old_checkpoints()
        best = self.pointer("best")
        if best:
            self.folder.delete(f"{best.checkpoint}/{TRAINING_STATE}")

    def drop_old_checkpoints(self) -> None:
        """Delete the checkpoints that neither best.json nor last.json names."""
        pointers = (self.pointer("best"), self.pointer("last"))
        named = {pointer.checkpoint for pointer in pointers if pointer}
        for name in self.folder.names("checkpoints"):
            if f"checkpoints/{name}" not in named:
                self.folder.delete(f"checkpoints/{name}")

    def pointer(self, which: Literal["best", "last"]) -> CheckpointPointer | None:
        """What best.json or last.json points to, or None if there is none."""
        return _read(CheckpointPointer, self.folder, f"{which}.json")

    def write_pointer(self, which: Literal["best", "last"], pointer: CheckpointPointer) -> None:
        """Point best.json or last.json to a checkpoint that is whole."""
        self.folder.write_json(f"{which}.json", pointer.model_dump(mode="json"))


@dataclass(frozen=True)
class SweepFiles:
    """The files of one sweep."""

    folder: Folder

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
        """Which images are on which side, or None before the sweep wrote it."""
        return _read(SplitRecord, self.folder, "splits.json")

    def write_splits(self, splits: SplitRecord) -> None:
        """Write splits.json."""
        self.folder.write_json("splits.json", splits.model_dump(mode="json"))

    def test_scores(self) -> SplitScores | None:
        """What the best trial scored on the test split when it was last judged, or None if it was not."""
        return _read(SplitScores, self.folder, "test.json")

    def write_test_scores(self, scores: SplitScores) -> None:
        """Write test.json."""
        self.folder.write_json("test.json", scores.model_dump(mode="json"))

    def state(self) -> SweepState | None:
        """What the sweep was doing when it last said so."""
        return _read(SweepState, self.folder, "state.json")

    def write_state(self, state: SweepState) -> None:
        """Write state.json."""
        self.folder.write_json("state.json", state.model_dump(mode="json"))

    def trial(self, trial_id: str) -> TrialFiles:
        """The files of one trial, there or not yet."""
        return TrialFiles(trial_id, self.folder.child(f"trials/{trial_id}"))

    def trials(self) -> list[TrialFiles]:
        """Every trial that has started, by id."""
        return [self.trial(name) for name in self.folder.names("trials") if name.isdecimal()]

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
            raise StorageError(f"no trial of {self.folder.path!r} has completed an epoch yet")
        return max(found, key=lambda item: item[1].record.val_miou or 0.0)


def open_sweep(location: str | Path) -> SweepFiles:
    """The sweep at a local path or URL, there or not yet."""
    return SweepFiles(open_folder(location))
