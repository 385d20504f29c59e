"""The searcher: Ray Tune's OptunaSearch, told how trials really ended, over a study that a resume continues."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from segray.config import flatten
from segray.errors import StorageError
from segray.records import METRIC
from segray.storage import SweepFiles, undamaged
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.points import Point, Sample, combinations, draw_point, first_of, identity
from segray.tuning.run.history import Announce, catch_up, earlier_trials, folder_name
from segray.tuning.space import Distribution, Draw, Space, draw_from, plain_point

PROPOSALS = 20
"""How often the sampler may propose a point that was tried already; then the space's points are gone through."""


class StudySearch(OptunaSearch):
    """OptunaSearch that tells Optuna COMPLETE, PRUNED or FAIL by a trial's outcome, and tries no point twice.

    The study lives in ``database`` on the driver's own disk, because SQLite must not lie on a network filesystem, and
    is copied into the sweep's folder whenever a trial starts or ends. A resume builds it from the trials' files.

    Args:
        sweep: The sweep's files.
        space: What is searched.
        sampler: Proposes points.
        first_trials: Values of the first trials; keys that they leave out are sampled.
        database: File for the study; overwritten.
        announce: Told in lines what was wrong with the study of an earlier start.
    """

    def __init__(
        self,
        sweep: SweepFiles,
        space: Space,
        sampler: optuna.samplers.BaseSampler,
        first_trials: Sequence[Mapping[str, Any]],
        database: Path,
        announce: Announce = print,
    ) -> None:
        self._sweep, self._database = sweep, database
        database.unlink(missing_ok=True)
        resumed = sweep.folder.exists("study.db") or bool(sweep.trials())
        earlier = earlier_trials(sweep, space, database, announce) if resumed else []
        super().__init__(
            space=space,
            metric=TUNE_METRIC,
            mode="max",
            sampler=sampler,
            study_name=sweep.name,
            storage=optuna.storages.get_storage(f"sqlite:///{self._database}"),
        )
        catch_up(self.study, earlier)
        self._tried = {identity(trial.params) for trial in earlier if trial.params or trial.state != TrialState.FAIL}
        self._unfinished = list(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        self._first = [plain_point(point) for point in first_trials[len(earlier) :]]
        self._reported: dict[str, set[int]] = {}
        self.num_combinations: int | None = None
        """How many points the space has, once all have been tried"""

    @property
    def study(self) -> optuna.Study:
        """The Optuna study."""
        study: optuna.Study = self._ot_study
        return study

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next trial: first those that an earlier start of the sweep left unfinished."""
        if self._unfinished:
            frozen = self._unfinished.pop(0)
            values = self._values_again(frozen)
        else:
            draw = self._untried()
            if draw is None:
                return str(Searcher.FINISHED)
            frozen, values = self._add(draw), draw.values
        self._ot_trials[trial_id] = optuna.Trial(self.study, frozen._trial_id)
        self._reported[trial_id] = set(frozen.intermediate_values)
        self._publish()
        return {"trial": folder_name(frozen.number), "values": values}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an epoch's mIoU to Optuna, by epoch: Tune's own count restarts when a trial does."""
        trial, reported = self._ot_trials[trial_id], self._reported[trial_id]
        epochs = {result["epoch"]: result[METRIC]} if result["epoch"] else {}
        if not epochs or result["epoch"] - 1 not in {0, *reported}:
            # A worker that died may have written an epoch that it could not hand over any more.
            records = self._sweep.trial(folder_name(trial.number)).records()
            epochs = {record.epoch: record.val_miou for record in records if record.val_miou is not None} | epochs
        for epoch in sorted(epochs.keys() - reported):
            if not math.isnan(epochs[epoch]):
                trial.report(epochs[epoch], epoch)
        reported.update(epochs)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended."""
        if trial_id not in self._ot_trials:
            return
        self.on_trial_result(trial_id, result or {"epoch": 0})
        trial = self._ot_trials.pop(trial_id)
        status = "failed" if error or not result else result["status"] or "stopped"
        if status == "finished" and result:
            self.study.tell(trial, result[TUNE_METRIC], state=TrialState.COMPLETE)
        else:
            self.study.tell(trial, state=TrialState.PRUNED if status == "stopped" else TrialState.FAIL)
        self._publish()

    def _untried(self) -> Draw | None:
        """A point that no trial had; None where all have been tried."""
        for draw in self._proposals():
            if identity(draw.drawn) not in self._tried:
                return draw
        num_tried = 0
        for draw in combinations(self._space, self._sample()):
            if identity(draw.drawn) not in self._tried:
                return draw
            num_tried += 1
        self.num_combinations = num_tried
        return None

    def _proposals(self) -> Iterator[Draw]:
        while self._first:
            yield draw_point(self._space, Point(self._first.pop(0), self._sample()))
        for _ in range(PROPOSALS):
            yield draw_point(self._space, Point({}, self._sample()))

    def _sample(self) -> Sample:
        """How the sampler chooses a value, by what the study knows now."""
        # Not self.study: a Study keeps the trials that its sampler saw first until it is asked for a trial itself.
        study = optuna.load_study(study_name=self._study_name, storage=self._storage, sampler=self._sampler)
        trial = create_trial(state=TrialState.RUNNING)

        def sample(name: str, distribution: Distribution) -> Any:
            if distribution.single():
                return first_of(distribution)
            return study.sampler.sample_independent(study, trial, name, distribution)

        return sample

    def _add(self, draw: Draw) -> FrozenTrial:
        """Begin a trial in the study.

        Raises:
            StorageError: The trial's folder is there already.
        """
        number = len(self.study.get_trials(deepcopy=False))
        files = self._sweep.trial(folder_name(number))
        if files.folder.exists():
            raise StorageError(
                f"trial {files.id} must be new, but {files.folder.path!r} was made meanwhile, by another start of this "
                "sweep; end one of the two, then continue with --resume"
            )
        self._tried.add(identity(draw.drawn))
        self.study.add_trial(
            create_trial(state=TrialState.RUNNING, params=draw.drawn, distributions=draw.distributions)
        )
        return self.study.get_trials(deepcopy=False)[number]

    def _values_again(self, frozen: FrozenTrial) -> dict[str, Any]:
        """The values that an unfinished trial was begun with: those of its files, if it has any."""
        files = self._sweep.trial(folder_name(frozen.number))
        values, config = undamaged(files.values), undamaged(files.config)
        if values is not None:
            return values
        drawn = draw_from(self._space, optuna.Trial(self.study, frozen._trial_id)).values
        return drawn if config is None else {key: flatten(config)[key] for key in drawn}

    def _publish(self) -> None:
        self._sweep.folder.write_bytes("study.db", self._database.read_bytes())
