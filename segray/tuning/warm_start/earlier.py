"""An earlier sweep, as its files tell of it: its trials with configs and scores, and those that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segray import text
from segray.config import RunConfig
from segray.config.run import run_config
from segray.errors import ConfigError, DamagedError, StorageError
from segray.goals import Goals
from segray.objective import Objective
from segray.records import SweepInfo
from segray.shown import redacted
from segray.storage import SweepFiles, open_sweep
from segray.trial_files import TrialFiles
from segray.tuning.run.history import scores_by_epoch
from segray.tuning.warm_start.portfolio import PORTFOLIO_NAME


@dataclass(frozen=True, kw_only=True)
class EarlierTrial:
    """A trial of an earlier sweep that has a score, or that cannot be trained."""

    id: str
    config: RunConfig
    scores: Mapping[int, float]
    """Epoch -> score of the new sweep's objective; empty if the config cannot be trained"""
    is_infeasible: bool

    def best(self, objective: Objective) -> float:
        """Return the best score as a number that is higher for a better one."""
        return max(map(objective.rank, self.scores.values()))


@dataclass(frozen=True, kw_only=True)
class EarlierSweep:
    """An earlier sweep."""

    run: str
    """Path or URL as it was typed, without keys"""
    files: SweepFiles
    info: SweepInfo
    trials: Sequence[EarlierTrial]
    left: Sequence[str]
    """Why each other trial is left, as words that follow the number of such trials"""


def check_sources(sources: Sequence[str]) -> None:
    """Check that each source of a warm start is there, before anything else takes time.

    Raises:
        ConfigError: A source is given twice.
        StorageError: There is no sweep, or its record is damaged.
    """
    twice = next((source for source in sources if sources.count(source) > 1), None)
    if twice is not None:
        raise ConfigError(f"--warm-start must give {redacted(twice)} once, but gives it twice; leave one out")
    for source in sources:
        if source != PORTFOLIO_NAME:
            _open(source)


def read_earlier(source: str, goals: Goals) -> EarlierSweep:
    """Read an earlier sweep.

    Args:
        source: Its path or URL.
        goals: Those of the new sweep: the score to read, and bounds on what may be taken.

    Raises:
        StorageError: There is no sweep, or its record is damaged.
        ConfigError: None of its epochs has the score.
    """
    files, info = _open(source)
    found = [_read(trial, goals) for trial in files.trials()]
    trials = [trial for trial in found if isinstance(trial, EarlierTrial)]
    run = redacted(source)
    if not any(trial.scores for trial in trials):
        raise ConfigError(
            f"--warm-start needs a sweep whose epochs have the objective {goals.main.name}, but no trial of {run} has; "
            f"it was compared by {info.objective.name}: name another sweep, or choose another --objective"
        )
    left = [reason for reason in found if isinstance(reason, str)]
    return EarlierSweep(run=run, files=files, info=info, trials=trials, left=left)


def _open(source: str) -> tuple[SweepFiles, SweepInfo]:
    try:
        files = open_sweep(source)
        return files, files.info()
    except StorageError as error:
        raise StorageError(f"--warm-start {redacted(source)}: {error}") from None


def _read(files: TrialFiles, goals: Goals) -> EarlierTrial | str:
    """Return a trial, or why it is left."""
    try:
        tree = files.config()
    except DamagedError:
        return f"with a damaged config.json ({files.id})"
    if tree is None:
        return f"without a config.json ({files.id})"
    try:
        config = run_config(tree)
    except ConfigError:
        return f"whose config is of another version of segray ({files.id})"
    outcome = files.outcome()
    status = outcome.status if outcome else None
    # Another machine may have the memory, and what a trial failed by need not lie in its config.
    if status in ("failed", "out_of_memory", "infeasible"):
        return f"that ended as {text.words(status)}"
    is_infeasible = status == "diverged"
    records = files.records()
    if records and goals.broken(records[-1].scores):
        return "that breaks a constraint of this sweep"
    scores = {} if is_infeasible else scores_by_epoch(records, goals)
    if not scores and not is_infeasible:
        return f"without a {goals.main.label}"
    return EarlierTrial(id=files.id, config=config, scores=scores, is_infeasible=is_infeasible)
