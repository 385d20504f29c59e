"""The files of a sweep as a start found them: each file is read once, however many parts of the start ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

from segray.records import CheckpointPointer, EpochRecord, Outcome, SplitRecord, SweepInfo, SweepState
from segray.storage import SweepFiles
from segray.trial_files import TrialFiles
from segray.values import Json

T = TypeVar("T")


@dataclass(frozen=True)
class TrialSnapshot(TrialFiles):
    """The files of a trial, each read once."""

    _found: dict[str, object] = field(default_factory=dict, compare=False)

    def config(self) -> Json | None:
        """Return the config of the first call."""
        return self._once("config", super().config)

    def values(self) -> Json | None:
        """Return the drawn values of the first call."""
        return self._once("values", super().values)

    def outcome(self) -> Outcome | None:
        """Return the outcome of the first call."""
        return self._once("outcome", super().outcome)

    def records(self) -> list[EpochRecord]:
        """Return the records of the first call."""
        return self._once("records", super().records)

    def pointer(self, which: Literal["best", "last"]) -> CheckpointPointer | None:
        """Return the pointer of the first call."""
        read = super().pointer
        return self._once(which, lambda: read(which))

    def _once(self, name: str, read: Callable[[], T]) -> T:
        return _once(self._found, name, read)


@dataclass(frozen=True)
class SweepSnapshot(SweepFiles):
    """The files of a sweep in which trials are listed once, and their files read once.

    Args:
        folder: The sweep's folder.
    """

    _found: dict[str, object] = field(default_factory=dict, compare=False)

    def info(self) -> SweepInfo:
        """Return the sweep's record of the first call."""
        return _once(self._found, "info", super().info)

    def splits(self) -> SplitRecord | None:
        """Return the splits of the first call."""
        return _once(self._found, "splits", super().splits)

    def state(self) -> SweepState | None:
        """Return the state of the first call."""
        return _once(self._found, "state", super().state)

    def trial(self, trial_id: str) -> TrialFiles:
        """Return one trial, there or not."""
        folder = self.folder.child(f"trials/{trial_id}")
        # The same object each time: a start without this read all outcomes five times.
        return _once(self._found, f"trial {trial_id}", lambda: TrialSnapshot(trial_id, folder))

    def trial_names(self) -> list[str]:
        """Return the names of the first call."""
        return _once(self._found, "names", super().trial_names)


def num_ended(files: SweepFiles, *, retry_failed: bool = False) -> int:
    """Return how many trials of the search are over; with ``retry_failed``, failed trials are not."""
    return sum(trial.is_over(retry_failed=retry_failed) for trial in files.trials())


def _once(found: dict[str, object], name: str, read: Callable[[], T]) -> T:
    if name not in found:
        found[name] = read()
    return cast("T", found[name])
