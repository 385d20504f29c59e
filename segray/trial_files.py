"""The files of one trial; `storage.py` says where each lies and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from segray.errors import DamagedError, StorageError
from segray.folder import Folder
from segray.foreign import in_short
from segray.records import CheckpointPointer, EpochRecord, Outcome, StoredRecord
from segray.trial_log import TrialLog
from segray.values import Json, Values

TRAINING_STATE: Final = "training.pt"
"""File of a checkpoint that only a resume needs: optimiser, schedule, epoch."""

Record = TypeVar("Record", bound=StoredRecord)
T = TypeVar("T")


def read_record(kind: type[Record], folder: Folder, name: str) -> Record | None:
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


def damage_of(readers: Mapping[str, Callable[[], object]]) -> dict[str, str]:
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


@dataclass(frozen=True)
class TrialFiles:
    """The files of one trial.

    A damaged file does not stop the other trials: each method says how it treats one, and ``damage`` names them.
    """

    id: str
    folder: Folder

    def damage(self) -> dict[str, str]:
        """Return small file -> why it cannot be read, in words that follow "trial 0003 ...: "."""
        return damage_of(
            {
                "config.json": self.config,
                "values.json": self.values,
                "outcome.json": lambda: read_record(Outcome, self.folder, "outcome.json"),
                "best.json": lambda: read_record(CheckpointPointer, self.folder, "best.json"),
                "last.json": lambda: read_record(CheckpointPointer, self.folder, "last.json"),
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
            return read_record(Outcome, self.folder, "outcome.json")
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
        for name in ("last.json", "best.json", "epochs.jsonl", "epochs", "checkpoints", "samples"):
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
            pointers = [read_record(CheckpointPointer, self.folder, name) for name in ("best.json", "last.json")]
        except DamagedError:
            return
        named = {pointer.checkpoint for pointer in pointers if pointer}
        for name in self.folder.names("checkpoints"):
            if f"checkpoints/{name}" not in named:
                self.folder.delete(f"checkpoints/{name}")

    def pointer(self, which: Literal["best", "last"]) -> CheckpointPointer | None:
        """Return the content of best.json or last.json, or None if the file is missing or damaged."""
        return undamaged(lambda: read_record(CheckpointPointer, self.folder, f"{which}.json"))

    def write_pointer(self, which: Literal["best", "last"], pointer: CheckpointPointer) -> None:
        """Point best.json or last.json to a checkpoint that is complete."""
        self.folder.write_json(f"{which}.json", pointer.model_dump(mode="json"))

    def _mapping(self, name: str) -> Json | None:
        content = self.folder.read_json(name)
        if content is not None and not isinstance(content, dict):
            raise self.folder.damaged(name, f"it must hold a mapping, but holds a {type(content).__name__}")
        return content
