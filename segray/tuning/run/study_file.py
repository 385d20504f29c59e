"""study.db: the study as a file, for a resume and for Optuna's own tools."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from segray.tuning.run.asked import report, trial_numbered


class StudyFile:
    """A copy of a study in a database, which is brought up to date now and then.

    The study itself lives in memory: reading trials that have not ended from SQLite took longer than a decision, and
    writing an epoch's score longer than all else that the driver does for the epoch.

    Args:
        database: The file, on the driver's own disk, since SQLite must not lie on a network filesystem; a study in it
            goes on, whose trials are the first ones of the study.
        name: Name of the study.
        directions: Directions of the objectives.
    """

    def __init__(self, database: Path, name: str, directions: Sequence[StudyDirection]) -> None:
        self._database = database
        storage = optuna.storages.RDBStorage(f"sqlite:///{database}", engine_kwargs={"creator": self._connect})
        self._study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
        self._known = self._study.get_trials(deepcopy=False)

    def content(self, trials: Sequence[FrozenTrial]) -> bytes:
        """Return the bytes of the file with all trials of the study.

        Args:
            trials: The trials in the order of their numbers; none is missing that was there before.
        """
        for known, true in zip(self._known, trials, strict=False):
            # Optuna refuses to change a trial that has ended.
            if known is not true and known.state == TrialState.RUNNING:
                self._update(known, true)
        self._study.add_trials(trials[len(self._known) :])
        self._known = list(trials)
        return self._database.read_bytes()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database, check_same_thread=False)
        # A crash loses this file with its folder, so waiting for the disk protects nothing.
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    def _update(self, known: FrozenTrial, true: FrozenTrial) -> None:
        trial = trial_numbered(self._study, true.number)
        for epoch in sorted(true.intermediate_values.keys() - known.intermediate_values.keys()):
            report(trial, true.intermediate_values[epoch], epoch)
        for name, value in true.user_attrs.items():
            if known.user_attrs.get(name) != value:
                trial.set_user_attr(name, value)
        if true.state.is_finished():
            for name, value in true.constraints.items():
                trial.set_constraint(name, value)
            values = true.values if true.state == TrialState.COMPLETE else None
            self._study.tell(trial, values, state=true.state)
