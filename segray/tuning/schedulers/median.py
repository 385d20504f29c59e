"""Median stopping (Golovin et al. 2017): a trial ends when its best score is below the median of the others' means."""

from __future__ import annotations

import math

from segray.objective import Objective
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.schedulers.kind import NamedTrial, Rule, SchedulerKind, Score, StoppingSettings
from segray.tuning.schedulers.learned import with_first_rung


class Median:
    """Tune's rule, which takes no further epoch of a trial that it has stopped; but the baseline goes on.

    Args:
        first: Share of the schedule before which no trial stops.
        objective: Says which scores are better.
    """

    def __init__(self, first: float, objective: Objective) -> None:
        from ray.tune.schedulers import MedianStoppingRule, TrialScheduler

        self._stop = str(TrialScheduler.STOP)
        self._stopped: set[NamedTrial] = set()
        self._rule: Rule = MedianStoppingRule(
            # Tune's own training_iteration restarts when a trial goes on in another slot.
            time_attr="share",
            metric=TUNE_METRIC,
            mode=objective.mode,
            grace_period=first,
            # Tune would pause trials while there are too few to compare with; a worker group gains nothing from it.
            min_time_slice=math.inf,
        )

    def on_trial_add(self, _controller: None, trial: NamedTrial) -> None:
        """Take a trial in."""
        self._rule.on_trial_add(None, trial)

    def on_trial_result(self, _controller: None, trial: NamedTrial, result: Score) -> str:
        """Decide whether the trial goes on."""
        if trial in self._stopped:
            self._rule.on_trial_complete(None, trial, result)
            return self._stop
        decision = self._rule.on_trial_result(None, trial, result)
        if decision == self._stop:
            self._stopped.add(trial)
        return decision

    def on_trial_complete(self, _controller: None, trial: NamedTrial, result: Score) -> None:
        """Keep a trial's last epoch."""
        self._rule.on_trial_complete(None, trial, result)

    def on_trial_remove(self, _controller: None, trial: NamedTrial) -> None:
        """Let go of a trial."""
        self._rule.on_trial_remove(None, trial)


def _build(settings: StoppingSettings) -> Rule:
    return with_first_rung(lambda first: Median(first, settings.objective), settings)


MEDIAN = SchedulerKind(_build, "was worse than the median of the others' means up to the same share of the schedule")
