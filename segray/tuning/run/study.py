"""The searcher: hands Optuna's trials to Ray Tune, over a study that a resume continues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher

from segray.config import flatten
from segray.errors import StorageError
from segray.objective import Objective
from segray.records import EpochRecord
from segray.storage import SweepFiles
from segray.trial_files import undamaged
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.points import Point, combinations, draw_point, identity
from segray.tuning.run.asked import AskedTrial, trial_of
from segray.tuning.run.exchange import News, Proposal
from segray.tuning.run.history import Announce, catch_up, earlier_trials, folder_name, scores_by_epoch
from segray.tuning.space import Draw, Space, draw_from, plain_point
from segray.values import Values

PROPOSALS = 20
"""Number of proposals that may be tried points. Then as many random points are tried, then all points in order."""


class StudySearch(Searcher):
    """Searcher that tells Optuna COMPLETE, PRUNED or FAIL by a trial's outcome, and tries no point twice.

    The study lives in ``database`` on the driver's own disk, because SQLite must not lie on a network filesystem, and
    is copied into the sweep's folder whenever a trial starts or ends. A resume builds it from the trials' files.

    Args:
        sweep: The sweep's files.
        space: What is searched.
        sampler: Proposes points.
        first_trials: Values of the first trials; keys that they leave out are sampled.
        database: File for the study; overwritten. None keeps the study in memory alone, as benchmarks do.
        earlier: The sweep's files as this start found them.
        objective: The score that Optuna hears, and its direction.
        announce: Called with each line on what was wrong with the study of an earlier start.
    """

    def __init__(
        self,
        sweep: SweepFiles,
        space: Space,
        sampler: optuna.samplers.BaseSampler,
        first_trials: Sequence[Values],
        database: Path | None,
        earlier: SweepFiles,
        objective: Objective,
        announce: Announce = print,
    ) -> None:
        super().__init__()
        self._sweep, self._space, self._database, self._objective = sweep, space, database, objective
        trials: list[FrozenTrial] = []
        if database is not None:
            database.unlink(missing_ok=True)
            if sweep.folder.exists("study.db") or earlier.trials():
                trials = earlier_trials(earlier, space, database, objective, announce)
        self.study = optuna.create_study(
            study_name=sweep.name,
            storage=None if database is None else optuna.storages.get_storage(f"sqlite:///{database}"),
            sampler=sampler,
            direction=objective.direction,
            # A resume's copy of study.db goes on where it agrees with the files: a new study takes 30 ms a trial.
            load_if_exists=True,
        )
        """The Optuna study"""
        catch_up(self.study, trials)
        # A placeholder of a missing number is a failed trial without values, and has tried no point.
        self._tried = {identity(trial.params) for trial in trials if trial.params or trial.state != TrialState.FAIL}
        self._unfinished = list(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        # First trials go by number, so those that earlier starts had no time for come next.
        self._first = [plain_point(point) for point in first_trials[len(trials) :]]
        self._running: dict[str, optuna.Trial] = {}
        self._reported: dict[str, set[int]] = {}
        self.num_combinations: int | None = None
        """Number of points of the space; None until all have been tried"""

    def suggest(self, trial_id: str) -> Proposal | str:
        """Return the next trial: first those that an earlier start left unfinished."""
        if self._unfinished:
            frozen = self._unfinished.pop(0)
            values = self._values_again(frozen)
        else:
            asked = AskedTrial(self.study)
            self._check_new(folder_name(asked.number))
            draw = self._untried(asked)
            if draw is None:
                asked.discard()
                return str(Searcher.FINISHED)
            frozen, values = asked.accept(draw), draw.values
            self._tried.add(identity(draw.drawn))
        self._running[trial_id] = trial_of(self.study, frozen)
        self._reported[trial_id] = set(frozen.intermediate_values)
        self._publish()
        return {"trial": folder_name(frozen.number), "values": values}

    def on_trial_result(self, trial_id: str, result: News) -> None:
        """Report an epoch's score to Optuna, by epoch: Tune's own count restarts when a trial does."""
        self._report(trial_id, result["record"])

    def _report(self, trial_id: str, record: EpochRecord | None) -> None:
        trial, reported = self._running[trial_id], self._reported[trial_id]
        records = [] if record is None else [record]
        if not records or records[0].epoch - 1 not in {0, *reported}:
            # A worker that died may have written an epoch that it could not hand over.
            records = [*self._sweep.trial(folder_name(trial.number)).records(), *records]
        epochs = scores_by_epoch(records, self._objective)
        for epoch in sorted(epochs.keys() - reported):
            trial.report(epochs[epoch], epoch)
        reported.update(record.epoch for record in records)

    def on_trial_complete(self, trial_id: str, result: News | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended."""
        if trial_id not in self._running:
            return
        self._report(trial_id, result["record"] if result else None)
        trial = self._running.pop(trial_id)
        status = "failed" if error or not result else result["status"] or "stopped"
        if status == "finished" and result:
            self.study.tell(trial, result[TUNE_METRIC], state=TrialState.COMPLETE)
        else:
            # Ray's OptunaSearch tells an early-stopped trial as COMPLETE with its last value, which biases the sampler.
            # FAIL has a price: with 44 % of a space infeasible, 13.6 of 48 trials were, but 7.5 if told as infeasible.
            self.study.tell(trial, state=TrialState.PRUNED if status == "stopped" else TrialState.FAIL)
        self._publish()

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a resume reads the trials' files."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the study is built from the trials' files."""

    def _untried(self, asked: AskedTrial) -> Draw | None:
        """Return a point that no trial has tried; None if all have been tried."""
        for draw in self._proposals(asked):
            if identity(draw.drawn) not in self._tried:
                return draw
        num_tried = 0
        for draw in combinations(self._space, asked.random_sample()):
            if identity(draw.drawn) not in self._tried:
                return draw
            num_tried += 1
        self.num_combinations = num_tried
        return None

    def _proposals(self, asked: AskedTrial) -> Iterator[Draw]:
        # A first trial that is given twice runs once, so the next one takes its turn.
        while self._first:
            yield draw_point(self._space, Point(self._first.pop(0), asked.new_sample()))
        for _ in range(PROPOSALS):
            yield draw_point(self._space, Point({}, asked.new_sample()))
        # A sampler that has settled on one point, as GP may, proposes the same one each time.
        random = asked.random_sample()
        for _ in range(PROPOSALS):
            yield draw_point(self._space, Point({}, random))

    def _check_new(self, trial_id: str) -> None:
        files = self._sweep.trial(trial_id)
        if files.folder.exists():
            raise StorageError(
                f"trial {files.id} must be new, but {files.folder.path!r} was made meanwhile, by another start of this "
                "sweep; end one of the two, then continue with --resume"
            )

    def _values_again(self, frozen: FrozenTrial) -> dict[str, object]:
        """Return the values that an unfinished trial began with, from its files if it has any."""
        files = self._sweep.trial(folder_name(frozen.number))
        values, config = undamaged(files.values), undamaged(files.config)
        if values is not None:
            return values
        drawn = draw_from(self._space, trial_of(self.study, frozen)).values
        return drawn if config is None else {key: flatten(config)[key] for key in drawn}

    def _publish(self) -> None:
        if self._database is not None:
            self._sweep.folder.write_bytes("study.db", self._database.read_bytes())
