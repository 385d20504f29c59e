"""Where a sweep's files lie, and the records in them: written by engine and tuning, read by results.

    STORAGE/NAME/
      sweep.json                    SweepInfo: what is searched, on what, with which versions
      state.json                    SweepState: running, finished or interrupted, and when that was last true
      study.db                      the Optuna study
      samples/STEM_photo.png, STEM_truth.png            a few fixed validation images
      trials/ID/
        config.json                 the resolved RunConfig
        epochs.jsonl                one EpochRecord a line (on object stores: epochs/EPOCH-ATTEMPT.json)
        outcome.json                Outcome: how it ended, and why
        log.txt                     what the trial printed
        best.json, last.json        CheckpointPointer
        checkpoints/EPOCH-ATTEMPT/  weights and what loads them; only pointed-to ones count
        samples/STEM_prediction.png

STORAGE is a local path or a URL of a pyarrow filesystem (s3://, gs://, ...).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from pyarrow import fs as pafs
from pydantic import BaseModel, ConfigDict

from segray.errors import StorageError

METRIC: Final = "val_miou"
"""The objective of every sweep, maximised."""

TRAINING_STATE: Final = "training.pt"
"""File of a checkpoint that only a resume needs: optimiser, schedule, epoch."""

OutcomeStatus = Literal["finished", "stopped", "failed", "diverged", "out_of_memory"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class EpochRecord(_Record):
    """What one completed epoch gave. Fractions are 0 to 1; a value that could not be computed is None."""

    epoch: int
    """Completed epochs, from 1"""
    attempt: int = 1
    """Which start of the trial this epoch ran in, from 1"""
    train_loss: float | None
    val_loss: float | None
    val_miou: float | None
    """Mean IoU over the classes with TP + FP + FN > 0 in the whole validation split"""
    val_iou: tuple[float | None, ...]
    """IoU per class in training-id order; None for a class that is neither present nor predicted"""
    val_pixel_accuracy: float | None
    val_mean_class_accuracy: float | None
    learning_rate: float
    """Learning rate of the epoch's last step"""
    images_per_second: float
    """Training images over the time spent training, all workers together"""
    epoch_seconds: float
    """Training and validation"""
    peak_memory_bytes: int
    """Peak of the device's allocator on GPU, of the process's resident memory on CPU; the largest over workers"""
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


@dataclass(frozen=True)
class Folder:
    """A folder on a pyarrow filesystem; picklable, so workers get it as it is."""

    filesystem: pafs.FileSystem
    path: str

    @property
    def is_local(self) -> bool:
        """Whether files can be appended to and renamed."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def child(self, name: str) -> Folder:
        """The folder or file ``name`` below this one; not created."""
        return Folder(self.filesystem, f"{self.path}/{name}")

    @property
    def parent(self) -> Folder:
        """The folder that holds this one."""
        return Folder(self.filesystem, self.path.rpartition("/")[0] or "/")

    def exists(self, name: str = "") -> bool:
        """Whether the file or folder is there."""
        return bool(self._info(name).type != pafs.FileType.NotFound)

    def names(self, name: str = "") -> list[str]:
        """Sorted names of the files and folders directly inside; empty if there is no such folder."""
        selector = pafs.FileSelector(self._at(name), allow_not_found=True)
        with self._reaching(name):
            return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def read_bytes(self, name: str) -> bytes:
        """Whole content of a file.

        Raises:
            StorageError: The file is missing or cannot be read.
        """
        try:
            with self.filesystem.open_input_stream(self._at(name)) as stream:
                return bytes(stream.read())
        except OSError as error:
            raise StorageError(f"cannot read {self._at(name)!r}: {error}") from None

    def write_bytes(self, name: str, content: bytes | memoryview) -> None:
        """Write a whole file; on local disks by rename, so that nobody reads half of it.

        Raises:
            StorageError: The place cannot be written.
        """
        target = self._at(name)
        try:
            self.filesystem.create_dir(target.rpartition("/")[0], recursive=True)
            if self.is_local:
                partial = f"{target}.partial-{os.getpid()}"
                Path(partial).write_bytes(content)
                Path(partial).replace(target)
            else:
                with self.filesystem.open_output_stream(target) as stream:
                    stream.write(content)
        except OSError as error:
            raise StorageError(f"cannot write {target!r}: {error}; choose a storage path you may write to") from None

    def create(self, name: str) -> bool:
        """Make an empty file unless it is there, which on local disks only one process can; returns whether it did.

        Elsewhere nothing is made: object stores have no such operation.
        """
        if self.exists(name):
            return False
        if self.is_local:
            with self._reaching(name):
                self.filesystem.create_dir(self.path, recursive=True)
                try:
                    Path(self._at(name)).touch(exist_ok=False)
                except FileExistsError:
                    return False
        return True

    def append_line(self, name: str, line: str) -> None:
        """Append to a text file, after what a crash may have left of an earlier line; local filesystems only."""
        self.filesystem.create_dir(self.path, recursive=True)
        with Path(self._at(name)).open("ab+") as file:
            cut = file.seek(0, os.SEEK_END) > 0 and not _ends_in_newline(file)
            file.write((b"\n" if cut else b"") + line.encode() + b"\n")

    def delete(self, name: str = "") -> None:
        """Delete a file or a whole folder if it is there."""
        kind = self._info(name).type
        with self._reaching(name):
            if kind == pafs.FileType.Directory:
                self.filesystem.delete_dir(self._at(name))
            elif kind == pafs.FileType.File:
                self.filesystem.delete_file(self._at(name))

    def read_json(self, name: str) -> Any:
        """Parsed content of a JSON file, or None if it is missing."""
        try:
            return json.loads(self.read_bytes(name))
        except StorageError:
            if self.exists(name):
                raise
            return None

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a mapping as indented JSON."""
        self.write_bytes(name, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    def _info(self, name: str) -> pafs.FileInfo:
        with self._reaching(name):
            return self.filesystem.get_file_info(self._at(name))

    @contextmanager
    def _reaching(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot reach {self._at(name)!r}: {error}; choose a storage path you may use") from None


def _ends_in_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def open_folder(location: str | Path) -> Folder:
    """The folder at a local path or pyarrow filesystem URL; not created.

    Raises:
        StorageError: The URL's scheme is unknown or the store cannot be reached.
    """
    text = str(location)
    if "://" not in text:
        return Folder(pafs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
    try:
        filesystem, path = pafs.FileSystem.from_uri(text)
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot open storage {text!r}: {error}") from None
    return Folder(filesystem, path.rstrip("/"))


def location_below(location: str, name: str) -> str:
    """Path or URL of ``name`` below a path or URL; a URL's query, such as ``?region=eu-west-1``, stays at its end."""
    path, mark, query = location.partition("?") if "://" in location else (location, "", "")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


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
        content = self.folder.read_json("outcome.json")
        return None if content is None else Outcome.model_validate(content)

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
        content = self.folder.read_json(f"{which}.json")
        return None if content is None else CheckpointPointer.model_validate(content)

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
        content = self.folder.read_json("sweep.json")
        if content is None:
            raise StorageError(
                f"no sweep at {self.folder.path!r}: it has no sweep.json; give the folder of a sweep, such as runs/NAME"
            )
        return SweepInfo.model_validate(content)

    def write_info(self, info: SweepInfo) -> None:
        """Write sweep.json, once.

        Raises:
            StorageError: Another start of this name was faster, or the place cannot be written.
        """
        if not self.folder.create("sweep.json"):
            raise StorageError(
                f"another start has made {self.folder.path!r} meanwhile; choose another --name, or continue that one "
                "with --resume when it has ended"
            )
        self.folder.write_json("sweep.json", info.model_dump(mode="json"))

    def state(self) -> SweepState | None:
        """What the sweep was doing when it last said so."""
        content = self.folder.read_json("state.json")
        return None if content is None else SweepState.model_validate(content)

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
