"""The searcher: hands Optuna's trials to Ray Tune, over a study that a resume continues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import optuna
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher

from segray.errors import ConfigError, StorageError
from segray.goals import Goals
from segray.records import EpochRecord
from segray.storage import BASELINE_ID, SweepFiles
from segray.tuning.attributes import EPOCHS, INFEASIBLE, INFEASIBLE_ENDS, OTHERS, PAUSED, SECONDS
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.points import Point, combinations, draw_point, identity
from segray.tuning.run.asked import AskedTrial, report, trial_of
from segray.tuning.run.enqueued import Queue
from segray.tuning.run.exchange import News, Pausing, Proposal
from segray.tuning.run.history import (
    Announce,
    earlier_trials,
    final_values,
    folder_name,
    others_at_best,
    scores_by_epoch,
    trials_of_others,
    values_again,
)
from segray.tuning.run.study_file import StudyFile
from segray.tuning.samplers.kind import PointSampler
from segray.tuning.space import EPOCHS_KEY, Draw, Space, plain_point
from segray.values import Values

PROPOSALS = 20
"""Number of proposals that may be tried points. Then as many random points are tried, then all points in order."""


@dataclass
class _Running:
    """A trial in a slot."""

    trial: optuna.Trial
    reported: set[int]
    """Epochs that the study has"""
    proposal: Proposal
    others: dict[str, float | None]
    """Values of the other objectives at the best epoch, by name"""
    seconds: list[float]
    """Time of each epoch so far; of earlier starts the mean"""


class StudySearch(Searcher):
    """Searcher that tells Optuna COMPLETE, PRUNED, infeasible or FAIL by a trial's outcome, and tries no point twice.

    The study lives in memory. Its copy, study.db, is brought up to date whenever a trial starts or ends. A resume
    builds the study from the trials' files.

    Args:
        sweep: The sweep's files.
        space: What is searched.
        sampler: Proposes points.
        sampler_of: Returns the sampler of a new trial, by its number; None keeps the same one.
        first_trials: Values of the first trials; keys that they leave out are sampled.
        database: Place of study.db on the driver's own disk; overwritten. None makes no study.db, as in benchmarks.
        earlier: The sweep's files as this start found them.
        goals: The objectives that Optuna hears.
        announce: Called with each line on what was wrong with the study of an earlier start.
        max_epochs: Length of a trial's schedule, if its values do not say another.
        num_trials: Number of trials to hand out; one that goes on after a pause counts once. None for no limit.
        ends_flat: Whether no trial begins once the sampler expects no gain from any.
    """

    def __init__(
        self,
        sweep: SweepFiles,
        space: Space,
        sampler: optuna.samplers.BaseSampler,
        first_trials: Sequence[Values],
        database: Path | None,
        earlier: SweepFiles,
        goals: Goals,
        announce: Announce = print,
        *,
        max_epochs: int,
        num_trials: int | None = None,
        ends_flat: bool = False,
        sampler_of: Callable[[int], optuna.samplers.BaseSampler] | None = None,
    ) -> None:
        super().__init__()
        self._sweep, self._goals = sweep, goals
        self.space = space
        """The search space"""
        warm = sweep.warm_start()
        self.earlier = trials_of_others(warm, space)
        """Trials of earlier sweeps, which a sampler of whole points learns from; the study does not have them"""
        self._max_epochs, self._left, self._sampler_of = max_epochs, num_trials, sampler_of
        # With several objectives, Optuna's own samplers know no scores of epochs, and TPE raises where it finds them.
        self._with_epochs = not goals.others or isinstance(sampler, PointSampler)
        trials: list[FrozenTrial] = []
        if database is not None:
            database.unlink(missing_ok=True)
            if sweep.folder.exists("study.db") or earlier.trials():
                trials = earlier_trials(
                    earlier,
                    space,
                    database,
                    goals,
                    announce,
                    max_epochs=max_epochs,
                    with_epochs=self._with_epochs,
                )
        directions = [objective.direction for objective in goals.objectives]
        self.study = optuna.create_study(study_name=sweep.name, sampler=sampler, directions=directions)
        """The Optuna study"""
        self.study.add_trials(trials)
        self._file = None if database is None else StudyFile(database, sweep.name, self.study.directions)
        # A placeholder of a missing number is a failed trial without values, and has tried no point.
        self._tried = {
            identity(trial.params): folder_name(number)
            for number, trial in enumerate(trials)
            if trial.params or trial.state != TrialState.FAIL
        }
        self._unfinished = list(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        # First trials go by number, so those that earlier starts had no time for come next.
        self._first = [plain_point(point) for point in (*first_trials, *warm.first_trials)[len(trials) :]]
        self._queue = Queue(space, self._tried)
        self._running: dict[str, _Running] = {}
        self._paused: dict[str, _Running] = {}
        self._pausing: Pausing | None = None
        self._waits = False
        """Whether no trial is worth a slot until a running one has news"""
        self._ends_flat = ends_flat
        self.is_flat = False
        """Whether no further trial is expected to gain anything"""
        self.num_combinations: int | None = None
        """Number of points of the space; None until all have been tried"""

    def follow(self, pausing: Pausing) -> None:
        """Let a scheduler pause trials, and decide when those go on that an earlier start left within their schedule.

        With one slot it decides as it would have without the break: it has seen the same epochs.
        """
        self._pausing = pausing
        for frozen in [frozen for frozen in self._unfinished if self._may_wait(frozen)]:
            self._unfinished.remove(frozen)
            self._pause(self._again(frozen))
            self._count()
            pausing.pause(folder_name(frozen.number))

    def _may_wait(self, frozen: FrozenTrial) -> bool:
        num_epochs = frozen.user_attrs.get(EPOCHS, self._max_epochs)
        done = max(frozen.intermediate_values, default=0)
        return 0 < done < num_epochs and folder_name(frozen.number) != BASELINE_ID

    def enqueue(self, values: Values, check: Callable[[Values], None], close: Callable[[str], None]) -> int:
        """Make a point the next new trial, behind the first trials and the points that were enqueued before.

        Args:
            values: Dotted key -> value, as for ``Queue.add``.
            check: Raises a SegrayError if a trial with a whole point cannot work.
            close: Called with a sentence when a trial has begun with the values, or none can.

        Returns:
            Number of new trials that begin before it.

        Raises:
            ConfigError: No trial is left to begin, or the point is refused.
            SegrayError: The check raised it.
        """
        num_before = len(self._first) + len(self._queue)
        if not self.can_begin or (self._left is not None and self._left <= len(self._unfinished) + num_before):
            more = "resume without --stop-when-flat" if self.is_flat else "ask for more with --resume and --trials"
            raise ConfigError(f"no trial is left to begin in this search; {more}")
        self._queue.add(plain_point(values), check, close)
        # No trial may have been worth the free slot.
        self._waits = False
        return num_before

    def suggest(self, trial_id: str) -> Proposal | str | None:
        """Return the next trial: one that was paused, one that an earlier start left unfinished, or a new one.

        None says that a running trial may yet be paused, FINISHED that no trial will come.
        """
        if self._waits:
            return None
        # What an earlier start began goes on before anything is weighed, as it would have without the break.
        # What a person asks for comes before what the scheduler finds worth more.
        # If the space has no more points, a waiting trial goes on instead.
        enqueued = self._begun if self._queue else lambda: None
        running = self._taken_up() or enqueued() or self._continued() or self._begun() or self._continued()
        if running is None:
            # Tune asks many times a second, and weighing takes a tenth of one.
            self._waits = bool(self._pausing and self._running)
            return None if self._waits else str(Searcher.FINISHED)
        self._running[trial_id] = running
        return running.proposal

    @property
    def can_begin(self) -> bool:
        """Whether a new trial may begin."""
        return self._left != 0 and self.num_combinations is None and not self.is_flat

    def _taken_up(self) -> _Running | None:
        # Where trials pause, the waiting ones were counted first; what cannot wait, as the baseline, must go on.
        if not self._unfinished or (self._pausing is None and not self.can_begin):
            return None
        self._count()
        taken = self._again(self._unfinished.pop(0))
        self._publish()
        return taken

    def _continued(self) -> _Running | None:
        chosen = self._pausing.next_paused(can_begin=self.can_begin) if self._pausing else None
        if chosen is None:
            return None
        running = self._paused.pop(chosen)
        running.trial.set_user_attr(PAUSED, False)
        return running

    def _begun(self) -> _Running | None:
        if not self.can_begin:
            return None
        if self._sampler_of is not None:
            self.study.sampler = self._sampler_of(len(self.study.get_trials(deepcopy=False)))
        if self._ends_flat and not (self._first or self._queue) and isinstance(self.study.sampler, PointSampler):
            self.is_flat = self.study.sampler.is_flat(self.study, self.space, self.earlier)
            if self.is_flat:
                return None
        asked = AskedTrial(self.study)
        self._check_new(folder_name(asked.number))
        enqueued = self._queue.take() if self._queue and not self._first else None
        filled = enqueued and enqueued.untried(self.space, self._tried, asked)
        draw = filled or self._untried(asked)
        name = folder_name(asked.number)
        if draw is None:
            asked.discard()
        else:
            self._tried[identity(draw.drawn)] = name
            self._count()
            begun = self._in_slot(asked.accept(draw), draw.values)
            self._publish()
        if enqueued:
            # Not before the study is published: a resume would not know of the point.
            enqueued.close(f"trial {name} has them" if filled else "none can, since all such points have been tried")
        return None if draw is None else begun

    def _count(self) -> None:
        if self._left is not None:
            # A resume may ask for fewer trials than have begun.
            self._left = max(self._left - 1, 0)

    def _pause(self, running: _Running) -> None:
        running.trial.set_user_attr(PAUSED, True)
        self._paused[running.proposal["trial"]] = running

    def _again(self, frozen: FrozenTrial) -> _Running:
        files = self._sweep.trial(folder_name(frozen.number))
        return self._in_slot(frozen, values_again(files, self.space, trial_of(self.study, frozen)))

    def _in_slot(self, frozen: FrozenTrial, values: dict[str, object]) -> _Running:
        trial = trial_of(self.study, frozen)
        if EPOCHS not in frozen.user_attrs:
            trial.set_user_attr(EPOCHS, values.get(EPOCHS_KEY, self._max_epochs))
        proposal: Proposal = {"trial": folder_name(frozen.number), "values": values}
        known, reported = frozen.user_attrs, set(frozen.intermediate_values)
        seconds = [known[SECONDS]] * len(reported) if SECONDS in known else []
        return _Running(trial, reported, proposal, known.get(OTHERS, {}), seconds)

    def on_trial_result(self, trial_id: str, result: News) -> None:
        """Report an epoch's score to Optuna, by epoch: Tune's own count restarts when a trial does."""
        # Trials in slots were believed to end as expected; what they really reach may promise more.
        self._waits = self.is_flat = False
        self._report(trial_id, result["record"])

    def _report(self, trial_id: str, record: EpochRecord | None) -> None:
        running = self._running[trial_id]
        trial, reported = running.trial, running.reported
        records = [] if record is None else [record]
        if not records or records[0].epoch - 1 not in {0, *reported}:
            # A worker that died may have written an epoch that it could not hand over.
            records = [*self._sweep.trial(folder_name(trial.number)).records(), *records]
        epochs = scores_by_epoch(records, self._goals)
        for epoch in sorted(epochs.keys() - reported) if self._with_epochs else ():
            report(trial, epochs[epoch], epoch)
        if fresh := [record.epoch_seconds for record in records if record.epoch not in reported]:
            running.seconds += fresh
            trial.set_user_attr(SECONDS, fmean(running.seconds))
        reported.update(record.epoch for record in records)
        others = others_at_best(records, self._goals)
        if others and others != running.others:
            running.others = others
            trial.set_user_attr(OTHERS, others)

    def on_trial_complete(self, trial_id: str, result: News | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended."""
        if trial_id not in self._running:
            return
        self._waits = False
        self._report(trial_id, result["record"] if result else None)
        running = self._running.pop(trial_id)
        trial, name = running.trial, running.proposal["trial"]
        status = "failed" if error or not result else result["status"] or "stopped"
        if status == "stopped" and self._pausing and self._pausing.is_paused(name):
            self._pause(running)
            return
        values = final_values(result[TUNE_METRIC], running.others, self._goals) if result else None
        if status == "finished" and values:
            self.study.tell(trial, values, state=TrialState.COMPLETE)
        elif status in INFEASIBLE_ENDS:
            # To samplers, FAIL never happened; they learn from constraints, and keep away.
            trial.set_constraint(INFEASIBLE, 1.0)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            # Ray's OptunaSearch tells an early-stopped trial as COMPLETE with its last value, which biases the sampler.
            # A trial without an epoch says nothing of its values: samplers would take a pruned one for the worst.
            is_pruned = status in ("finished", "stopped") and running.reported
            self.study.tell(trial, state=TrialState.PRUNED if is_pruned else TrialState.FAIL)
        self._publish()

    def end_paused(self, trial_id: str | None = None) -> list[str]:
        """Tell Optuna that paused trials have ended; return their ids.

        Args:
            trial_id: The one to end; None for all.
        """
        ended = [name for name in self._paused if trial_id in (None, name)]
        for name in ended:
            self.study.tell(self._paused.pop(name).trial, state=TrialState.PRUNED)
            if self._pausing:
                self._pausing.forget(name)
        if ended:
            self._publish()
        return ended

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
        for draw in combinations(self.space, asked.random_sample()):
            if identity(draw.drawn) not in self._tried:
                return draw
            num_tried += 1
        self.num_combinations = num_tried
        return None

    def _proposals(self, asked: AskedTrial) -> Iterator[Draw]:
        # A first trial that is given twice runs once, so the next one takes its turn.
        while self._first:
            yield draw_point(self.space, Point(self._first.pop(0), asked.new_sample()))
        sampler = self.study.sampler
        if isinstance(sampler, PointSampler):
            yield from sampler.points(self.study, self.space, self.earlier)
        for _ in range(PROPOSALS):
            yield draw_point(self.space, Point({}, asked.new_sample()))
        # A sampler that has settled on one point, as GP may, proposes the same one each time.
        random = asked.random_sample()
        for _ in range(PROPOSALS):
            yield draw_point(self.space, Point({}, random))

    def _check_new(self, trial_id: str) -> None:
        files = self._sweep.trial(trial_id)
        if files.folder.exists():
            raise StorageError(
                f"trial {files.id} must be new, but {files.folder.path!r} was made meanwhile, by another start of this "
                "sweep; end one of the two, then continue with --resume"
            )

    def _publish(self) -> None:
        if self._file is not None:
            content = self._file.content(self.study.get_trials(deepcopy=False))
            self._sweep.folder.write_bytes("study.db", content)
