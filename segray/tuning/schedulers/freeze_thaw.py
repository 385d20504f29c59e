"""Freeze-thaw: after each epoch the slot goes to the trial with the largest expected improvement at its end.

That is the trial itself, one that was paused, or a new one.
"""

from __future__ import annotations

from collections.abc import Sequence

from segray.tuning.freeze_thaw.search import FreezeThaw
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.samplers.freeze_thaw import FreezeThawSampler
from segray.tuning.schedulers.kind import NamedTrial, SchedulerKind, Score, StoppingSettings, one_epoch


class FreezeThawRule:
    """The rule; it shares its model with the sampler of the same name."""

    def __init__(self, settings: StoppingSettings) -> None:
        from ray.tune.schedulers import TrialScheduler

        assert settings.search is not None, "the rule reads the study"
        self._pause, self._continue = str(TrialScheduler.PAUSE), str(TrialScheduler.CONTINUE)
        self._sweep, self._study = settings.search, settings.search.study
        sampler, space, earlier = self._study.sampler, settings.search.space, settings.search.earlier
        self._search = (
            sampler.over(space, earlier)
            if isinstance(sampler, FreezeThawSampler)
            else FreezeThaw(space, settings.seed, earlier=earlier)
        )

    def on_trial_add(self, _controller: None, trial: NamedTrial) -> None:
        """Do nothing: the study says which trials run."""

    def on_trial_result(self, _controller: None, trial: NamedTrial, result: Score) -> str:
        """Decide whether the trial keeps its slot."""
        number, best = int(trial.trial_id), result[TUNE_METRIC]
        goes_on = self._search.keeps_slot(self._study, number, result["epoch"], best, can_begin=self._sweep.can_begin)
        return self._continue if goes_on else self._pause

    def on_trial_complete(self, _controller: None, trial: NamedTrial, result: Score) -> None:
        """Do nothing: the study hears of the end."""

    def on_trial_remove(self, _controller: None, trial: NamedTrial) -> None:
        """Do nothing: the study hears of the end."""

    def next_paused(self, paused: Sequence[str], *, can_begin: bool) -> str | None:
        """Return the paused trial that is worth most, if it is worth more than a new one."""
        chosen = self._search.next_paused(self._study, [int(trial) for trial in paused], can_begin=can_begin)
        return next((trial for trial in paused if int(trial) == chosen), None)


FREEZE_THAW = SchedulerKind(FreezeThawRule, "other trials were worth more", least_share=one_epoch, pauses=True)
