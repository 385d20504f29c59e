"""The searcher: Ray Tune's OptunaSearch, told how trials really ended, over a study that a resume continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from segray.records import METRIC
from segray.storage import SweepFiles
from segray.tuning.slot import TUNE_METRIC
from segray.tuning.space import Space
from segray.tuning.sweep import SearcherName


def make_sampler(searcher: SearcherName, seed: int) -> optuna.samplers.BaseSampler:
    """The Optuna sampler of a searcher's name."""
    if searcher == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


class StudySearch(OptunaSearch):
    """OptunaSearch that tells Optuna COMPLETE, PRUNED or FAIL by a trial's outcome.

    The study lives in ``database`` on the driver's own disk, because SQLite must not lie on a network filesystem, and
    is copied into the sweep's folder whenever a trial starts or ends.
    """

    def __init__(
        self,
        sweep: SweepFiles,
        space: Space,
        sampler: optuna.samplers.BaseSampler,
        first_trials: Sequence[Mapping[str, Any]],
        database: Path,
    ) -> None:
        self._sweep, self._database = sweep, database
        resumed = sweep.folder.exists("study.db")
        if resumed:
            self._database.write_bytes(sweep.folder.read_bytes("study.db"))
        super().__init__(
            space=space,
            metric=TUNE_METRIC,
            mode="max",
            sampler=sampler,
            study_name=sweep.name,
            storage=optuna.storages.RDBStorage(f"sqlite:///{self._database}"),
        )
        self._unfinished: list[optuna.Trial] = []
        if resumed:
            self._unfinished = _reconcile(self.study, sweep)
        else:
            for point in first_trials:
                self.study.enqueue_trial(dict(point))

    @property
    def study(self) -> optuna.Study:
        """The Optuna study."""
        study: optuna.Study = self._ot_study
        return study

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The next trial: first those that an earlier start of the sweep left unfinished."""
        if self._unfinished:
            self._ot_trials[trial_id] = self._unfinished.pop(0)
        values = super().suggest(trial_id)
        self._publish()
        return {"trial": f"{self._ot_trials[trial_id].number:04d}", "values": values}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an epoch's mIoU to Optuna, by epoch: Tune's own count restarts when a trial does."""
        if result["epoch"]:
            self._ot_trials[trial_id].report(result[METRIC], result["epoch"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended."""
        trial = self._ot_trials.pop(trial_id, None)
        if trial is None:
            return
        status = "failed" if error or not result else result["status"] or "stopped"
        if result and result["epoch"]:
            trial.report(result[METRIC], result["epoch"])
        if status == "finished" and result:
            self.study.tell(trial, result[TUNE_METRIC], state=TrialState.COMPLETE)
        else:
            self.study.tell(trial, state=TrialState.PRUNED if status == "stopped" else TrialState.FAIL)
        self._publish()

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the searcher's whole state."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def _publish(self) -> None:
        self._sweep.folder.write_bytes("study.db", self._database.read_bytes())


def _reconcile(study: optuna.Study, sweep: SweepFiles) -> list[optuna.Trial]:
    """Make a study agree with the trials' files, which are the truth; returns the trials to go on with."""
    unfinished = []
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = optuna.Trial(study, frozen._trial_id)
        files = sweep.trial(f"{frozen.number:04d}")
        outcome = files.outcome()
        if outcome is None:
            unfinished.append(trial)
            continue
        for record in files.records():
            if record.val_miou is not None and record.epoch not in frozen.intermediate_values:
                trial.report(record.val_miou, record.epoch)
        if outcome.status == "finished" and outcome.best_val_miou is not None:
            study.tell(trial, outcome.best_val_miou, state=TrialState.COMPLETE)
        else:
            study.tell(trial, state=TrialState.PRUNED if outcome.status == "stopped" else TrialState.FAIL)
    return unfinished
