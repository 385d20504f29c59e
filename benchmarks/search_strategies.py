"""Ways to search a table of trainings: a sweep's own searcher and scheduler, and those that others use."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import optuna
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch
from training_table import TrainingTable

from segray.goals import DEFAULT_GOALS
from segray.objective import MIOU
from segray.records import EpochRecord
from segray.storage import open_sweep
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.run.exchange import News, Proposal
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import samplers_by_trial
from segray.tuning.schedulers import StoppingSettings, find_scheduler


class Begun(NamedTuple):
    """A trial that takes a slot."""

    trial: str
    config: int
    """Its config's position in the table"""


class Strategy(Protocol):
    """A way to search, as the driver sees it."""

    def next_trial(self) -> Begun | None:
        """Return what a free slot trains, or None if there is nothing now."""

    def epoch_done(self, trial: str, epoch: int, score: float, seconds: float, status: str | None) -> bool:
        """Hear of an epoch, its time, and how the trial ended, if it did; return whether it goes on."""


@dataclass
class _TuneTrial:
    """Tune's trial, as far as searchers and schedulers look at it."""

    trial_id: str
    config: Proposal = field(default_factory=lambda: Proposal(trial="", values={}))
    status: str = "RUNNING"

    def get_error(self) -> Exception | None:
        return None


def _record(epoch: int, score: float, best: float, seconds: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=None,
        scores={MIOU.name: score},
        learning_rate=0.0,
        images_per_second=0.0,
        epoch_seconds=seconds,
        peak_memory_bytes=None,
        best_score=best,
        best_epoch=None,
    )


class OfSweep:
    """The very searcher and scheduler of a sweep, called in the order in which Ray Tune calls them."""

    def __init__(self, table: TrainingTable, seed: int, sampler: str, scheduler: str, **settings: float) -> None:
        files = open_sweep(Path(tempfile.gettempdir(), "no-such-sweep"))
        sampler_of = samplers_by_trial(sampler, seed)
        self._searcher = StudySearch(
            files,
            table.space,
            sampler_of(0),
            [],
            None,
            files,
            DEFAULT_GOALS,
            max_epochs=table.max_epochs,
            sampler_of=sampler_of,
        )
        stopping = StoppingSettings(
            max_epochs=table.max_epochs,
            grace_epochs=int(settings["grace_epochs"]) if "grace_epochs" in settings else None,
            reduction_factor=settings.get("reduction_factor", 3.0),
            search=self._searcher,
        )
        self._scheduler = EarlyStopping(find_scheduler(scheduler).build(stopping), files, files, table.max_epochs)
        if self._scheduler.pauses:
            self._searcher.follow(self._scheduler)
        self._trials: dict[str, _TuneTrial] = {}
        self._best: dict[str, float] = {}
        self._numbers = itertools.count()

    def next_trial(self) -> Begun | None:
        tune_id = str(next(self._numbers))
        proposal = self._searcher.suggest(tune_id)
        if not isinstance(proposal, dict):
            return None
        trial = self._trials[proposal["trial"]] = _TuneTrial(tune_id, proposal)
        self._scheduler.on_trial_add(None, trial)
        return Begun(proposal["trial"], proposal["values"]["config"])

    def epoch_done(self, trial: str, epoch: int, score: float, seconds: float, status: str | None) -> bool:
        best = self._best[trial] = max(score, self._best.get(trial, -math.inf))
        tune_trial = self._trials[trial]
        news: News = {
            TUNE_METRIC: best,
            "epoch": epoch,
            "record": _record(epoch, score, best, seconds),
            "status": status,  # type: ignore[typeddict-item]
            "reason": "",
            "traceback": "",
            "seconds": 0.0,
            "done": status is not None,
        }
        if status is not None:
            self._scheduler.on_trial_complete(None, tune_trial, news)
        elif self._scheduler.on_trial_result(None, tune_trial, news) == TrialScheduler.STOP:
            news["done"] = True
        if news["done"]:
            self._searcher.on_trial_complete(tune_trial.trial_id, news)
        else:
            self._searcher.on_trial_result(tune_trial.trial_id, news)
        return not news["done"]


class OptunaAlone:
    """A loop over Optuna's study, with its default sampler and pruner."""

    def __init__(self, table: TrainingTable, seed: int) -> None:
        self._table = table
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._trials: dict[str, optuna.Trial] = {}
        self._best: dict[str, float] = {}

    def next_trial(self) -> Begun | None:
        trial = self._study.ask()
        self._trials[str(trial.number)] = trial
        return Begun(str(trial.number), int(self._table.space(trial)["config"]))  # type: ignore[call-overload]

    def epoch_done(self, trial: str, epoch: int, score: float, _seconds: float, status: str | None) -> bool:
        asked = self._trials[trial]
        best = self._best[trial] = max(score, self._best.get(trial, -math.inf))
        asked.report(score, epoch)
        if status == "finished":
            self._study.tell(asked, best)
        elif status is not None:
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
        elif asked.should_prune():
            self._study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        else:
            return True
        return False


class RayStock:
    """Ray Tune's documented pair, OptunaSearch and ASHAScheduler, with their defaults."""

    def __init__(self, table: TrainingTable, seed: int) -> None:
        self._table = table
        self._searcher = OptunaSearch(self._draw, metric="score", mode="max", seed=seed)
        self._scheduler = ASHAScheduler(metric="score", mode="max", max_t=table.max_epochs)
        self._trials: dict[str, _TuneTrial] = {}
        self._config = -1

    def _draw(self, trial: optuna.Trial) -> None:
        self._config = int(self._table.space(trial)["config"])  # type: ignore[call-overload]

    def next_trial(self) -> Begun | None:
        name = str(len(self._trials))
        self._searcher.suggest(name)
        self._trials[name] = _TuneTrial(name)
        self._scheduler.on_trial_add(None, self._trials[name])
        return Begun(name, self._config)

    def epoch_done(self, trial: str, epoch: int, score: float, _seconds: float, status: str | None) -> bool:
        result = {"score": score, "training_iteration": epoch, "trial_id": trial, "time_total_s": float(epoch)}
        if status is not None:
            self._scheduler.on_trial_complete(None, self._trials[trial], result)
        elif self._scheduler.on_trial_result(None, self._trials[trial], result) != TrialScheduler.STOP:
            self._searcher.on_trial_result(trial, result)
            return True
        self._searcher.on_trial_complete(trial, result)
        return False


Build = Callable[[TrainingTable, int], Strategy]


def _of_sweep(sampler: str, scheduler: str, **settings: float) -> Build:
    return lambda table, seed: OfSweep(table, seed, sampler, scheduler, **settings)


STRATEGIES: Final[Mapping[str, Build]] = {
    "random": _of_sweep("random", "none"),
    "tpe": _of_sweep("tpe", "none"),
    "gp": _of_sweep("gp", "none"),
    "random+asha(1,3)": _of_sweep("random", "asha", grace_epochs=1, reduction_factor=3),
    "tpe+asha(1,3)": _of_sweep("tpe", "asha", grace_epochs=1, reduction_factor=3),
    "tpe+asha(2,2)": _of_sweep("tpe", "asha", grace_epochs=2, reduction_factor=2),
    "tpe+asha(3,2)": _of_sweep("tpe", "asha", grace_epochs=3, reduction_factor=2),
    "tpe+asha(3,3)": _of_sweep("tpe", "asha", grace_epochs=3, reduction_factor=3),
    "freeze_thaw": _of_sweep("freeze_thaw", "freeze_thaw"),
    "tpe+median": _of_sweep("tpe", "median"),
    "tpe+hyperband": _of_sweep("tpe", "hyperband"),
    "optuna alone": OptunaAlone,
    "ray stock": RayStock,
}
"""Name -> function of a table and a seed; "random" comes first, since the goal is what it reaches."""
