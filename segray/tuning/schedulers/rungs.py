"""Rungs: shares of the schedule at which trials are compared (asynchronous successive halving, Li et al. 2020)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from segray.objective import Objective
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.schedulers.kind import NamedTrial, Score

ROUNDING: Final = 1e-9
"""Tolerance of a share: three ninths are a third"""


class Rungs:
    """A rule that stops a trial at a rung unless it is among the best 1 / ``factor`` of those that have come as far.

    A trial is compared at the last rung that it has just reached. One whose epochs are long may pass several at once;
    it leaves no score at the earlier ones, where it would be ahead of its place.

    Args:
        first: Share of the schedule at the first rung, above 0.
        factor: Ratio of the shares of two rungs, and one in how many trials goes on.
        objective: Says which scores are better.
    """

    def __init__(self, first: float, factor: float, objective: Objective) -> None:
        from ray.tune.schedulers import TrialScheduler

        self._stop, self._continue = str(TrialScheduler.STOP), str(TrialScheduler.CONTINUE)
        num_rungs = max(math.ceil(math.log(1 / first, factor) - ROUNDING), 0)
        self.rungs: list[tuple[float, dict[str, float]]] = [(first * factor**number, {}) for number in range(num_rungs)]
        """Each rung's share, and trial -> score, higher is better; the end of the schedule is no rung"""
        self._factor, self._objective = factor, objective
        self._passed: dict[str, int] = {}

    def on_trial_add(self, _controller: None, trial: NamedTrial) -> None:
        """Take a trial in."""
        self._passed.setdefault(trial.trial_id, 0)

    def on_trial_result(self, _controller: None, trial: NamedTrial, result: Score) -> str:
        """Decide whether the trial goes on."""
        passed = sum(share <= result["share"] + ROUNDING for share, _ in self.rungs)
        score = self._objective.rank(result[TUNE_METRIC])
        if passed <= self._passed[trial.trial_id] or math.isnan(score):
            return self._continue
        self._passed[trial.trial_id] = passed
        _, others = self.rungs[passed - 1]
        least = np.percentile(list(others.values()), 100 * (1 - 1 / self._factor)) if others else -math.inf
        others[trial.trial_id] = score
        return self._continue if score >= least else self._stop

    def on_trial_complete(self, _controller: None, trial: NamedTrial, result: Score) -> None:
        """Keep the score of a trial that ended early, as by its patience, at the rung that it had come to."""
        self.on_trial_result(None, trial, result)

    def on_trial_remove(self, _controller: None, trial: NamedTrial) -> None:
        """Do nothing: the scores of a trial that is gone still count."""
