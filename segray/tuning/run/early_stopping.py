"""The rules that all schedulers share: no epoch is missed, earlier starts count, and the baseline never stops."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from segray.goals import DEFAULT_GOALS, Goals
from segray.records import EpochRecord
from segray.storage import BASELINE_ID, SweepFiles
from segray.trial_files import TrialFiles, undamaged
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.run.exchange import News, TuneTrial
from segray.tuning.run.rivals import Rivals
from segray.tuning.schedulers.kind import NamedTrial, PausingRule, Rule, Score
from segray.tuning.space import EPOCHS_KEY
from segray.values import Values


class Fifo(FIFOScheduler):
    """Every trial to its end, in the order in which they were proposed.

    Tune's own version has a trial that waits for the start of a slot take the next slot that gets free. The one that
    starts is ended for it, and the next trial asks for another: a lost slot never came back where trials are shorter
    than its start, and each trial cost the start of a slot (66 in a sweep of 80 trials over 4 slots that lost one).
    """

    def choose_trial_to_run(self, tune_controller: object) -> None:
        """Leave it to Tune, which gives a free slot to a trial that has none."""

    def is_paused(self, trial_id: str) -> bool:  # noqa: ARG002 - for schedulers that pause
        """Return whether a trial left its slot, and may go on later."""
        return False


class EarlyStopping(Fifo):
    """The scheduler that Tune calls: a rule, Tune's or segray's, that decides over all starts of a sweep.

    Tune does not keep a rule's memory, so it is filled from the sweep's files. The files also give the epochs that a
    worker wrote before it died, and could not hand over.

    Args:
        rule: Decides which trials stop.
        sweep: The sweep's files.
        earlier: The same as this start found them.
        max_epochs: Length of a trial's schedule, if its values do not say another.
        goals: The objectives.
    """

    def __init__(
        self, rule: Rule, sweep: SweepFiles, earlier: SweepFiles, max_epochs: int, goals: Goals = DEFAULT_GOALS
    ) -> None:
        super().__init__()
        self._rule, self._sweep, self._max_epochs = rule, sweep, max_epochs
        self._rivals = Rivals(goals)
        self._epochs: dict[str, int] = {}
        self._paused: dict[str, None] = {}
        self._schedules: dict[str, int] = {}
        for files in earlier.trials():
            self._add(files, undamaged(files.values) or {})

    @property
    def paused(self) -> Collection[str]:
        """Ids of the trials that left their slots, and may go on later."""
        return self._paused.keys()

    @property
    def pauses(self) -> bool:
        """Whether the rule takes trials out of their slots to let them go on later."""
        return isinstance(self._rule, PausingRule)

    def on_trial_add(self, _controller: object, trial: TuneTrial) -> None:
        """Take a trial in, with all epochs of earlier starts."""
        self._add(self._sweep.trial(_named(trial).trial_id), trial.config["values"])

    def on_trial_result(self, _controller: object, trial: TuneTrial, result: News) -> str:
        """Decide whether the trial goes on."""
        named = _named(trial)
        # Missed epochs first: ASHA would take this epoch's score for the rung that the trial has passed unseen.
        decisions = self._catch_up(named, before=result["epoch"])
        score = self._score(named, result["epoch"], result[TUNE_METRIC])
        decisions.append(self._rule.on_trial_result(None, named, score))
        self._epochs[named.trial_id] = result["epoch"]
        if result["record"] is not None:
            self._rivals.add(named.trial_id, score["share"], score[TUNE_METRIC], result["record"].scores)
        # The report compares all trials with a fully trained baseline; its scores still count in the rungs.
        if named.trial_id == BASELINE_ID:
            return str(TrialScheduler.CONTINUE)
        if decisions[-1] == TrialScheduler.PAUSE:
            # To Tune the trial ends; the searcher hands it out again, which may be in another slot.
            self.pause(named.trial_id)
            return str(TrialScheduler.STOP)
        stops = TrialScheduler.STOP in decisions and self._rivals.may_stop(named.trial_id)
        return str(TrialScheduler.STOP if stops else TrialScheduler.CONTINUE)

    def pause(self, trial_id: str) -> None:
        """Let a trial wait until it is worth a slot."""
        self._paused[trial_id] = None

    def is_paused(self, trial_id: str) -> bool:
        """Return whether a trial left its slot, and may go on later."""
        return trial_id in self._paused

    def next_paused(self, *, can_begin: bool) -> str | None:
        """Return the paused trial that takes a free slot; None if a new one is worth more, or if none is."""
        if not isinstance(self._rule, PausingRule):
            return None
        chosen = self._rule.next_paused(list(self._paused), can_begin=can_begin)
        if chosen is not None:
            del self._paused[chosen]
        return chosen

    def forget(self, trial_id: str) -> None:
        """Let go of a paused trial that has ended."""
        self._paused.pop(trial_id, None)

    def on_trial_complete(self, _controller: object, trial: TuneTrial, result: News) -> None:
        """Keep a trial's last epochs."""
        named, epoch = _named(trial), result["epoch"]
        # A failed trial's result has epoch 0, though its files may hold epochs that were never handed over.
        self._catch_up(named, before=epoch or math.inf)
        # Median takes the last result for how far a trial came: one of epoch 0 would hide the epochs before it.
        if epoch:
            self._rule.on_trial_complete(None, named, self._score(named, result["epoch"], result[TUNE_METRIC]))
        else:
            self._rule.on_trial_remove(None, named)

    def on_trial_remove(self, _controller: object, trial: TuneTrial) -> None:
        """Let go of a trial that ended with an error."""
        self._rule.on_trial_remove(None, _named(trial))

    def _score(self, trial: NamedTrial, epoch: int, best: float) -> Score:
        return {"epoch": epoch, "share": epoch / self._schedules[trial.trial_id], TUNE_METRIC: best}

    def _add(self, files: TrialFiles, values: Values) -> None:
        trial = NamedTrial(files.id)
        num_epochs = values.get(EPOCHS_KEY)
        self._schedules[files.id] = num_epochs if isinstance(num_epochs, int) else self._max_epochs
        self._rule.on_trial_add(None, trial)
        # An unfinished trial is added twice, at the start and with its slot, but counts once in a rung.
        self._epochs.setdefault(files.id, 0)
        self._decide(trial, files.records(), before=math.inf)

    def _catch_up(self, trial: NamedTrial, before: float) -> list[str]:
        """Let the rule decide on the epochs of a trial's files that were never handed over."""
        # Epochs that come in order are not read back from the storage.
        if self._epochs[trial.trial_id] + 1 >= before:
            return []
        return self._decide(trial, self._sweep.trial(trial.trial_id).records(), before)

    def _decide(self, trial: NamedTrial, records: Sequence[EpochRecord], before: float) -> list[str]:
        decisions: list[str] = []
        # A rule that pauses reads what is past from the study.
        if self.pauses:
            return decisions
        for record in records:
            if record.best_score is not None and self._epochs[trial.trial_id] < record.epoch < before:
                result = self._score(trial, record.epoch, record.best_score)
                self._rivals.add(trial.trial_id, result["share"], record.best_score, record.scores)
                decisions.append(self._rule.on_trial_result(None, trial, result))
                self._epochs[trial.trial_id] = record.epoch
        return decisions


def _named(trial: TuneTrial) -> NamedTrial:
    return NamedTrial(trial.config["trial"])
