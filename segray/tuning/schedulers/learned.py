"""Rungs that are learned: some trials run to their ends, then others stop where early ranks agree with the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from segray.objective import Objective
from segray.results.agreement import Curve, first_rung
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.schedulers.kind import NamedTrial, Rule, Score, StoppingSettings

NUM_WHOLE: Final = 5
"""Number of trials that run to their ends before a rung is chosen"""
LEAST_AGREEMENT: Final = 0.8
"""Least rank correlation of the scores at a rung, and at all later places, with the final scores"""

Build = Callable[[float], Rule]
"""Builds a rule that stops no trial before a share of its schedule"""


def with_first_rung(build: Build, settings: StoppingSettings) -> Rule:
    """Return the rule that begins at ``--grace-epochs``; without it, where ranks agree with the end."""
    if settings.grace_share is not None:
        return build(settings.grace_share)
    return LearnedRungs(build, settings.objective)


class LearnedRungs:
    """A rule that stops nobody until enough trials have ended, and then begins where ranks agreed with the end.

    The place is learned once, from trials that nothing has stopped: those that a rung lets pass are alike, and their
    ranks agree less.

    Args:
        build: Builds the rule, which then hears all epochs again.
        objective: Says which scores are better.
    """

    def __init__(self, build: Build, objective: Objective) -> None:
        from ray.tune.schedulers import TrialScheduler

        self._continue = str(TrialScheduler.CONTINUE)
        self._build, self._objective = build, objective
        self._curves: dict[str, dict[float, float]] = {}
        self._whole: dict[str, Curve] = {}
        self._history: list[tuple[NamedTrial, Score]] = []
        self._rule: Rule | None = None
        self.share: float | None = None
        """Share of the schedule before which no trial stops; None until it is learned, 1 if no trial shall stop"""

    def on_trial_add(self, _controller: None, trial: NamedTrial) -> None:
        """Take a trial in."""
        self._curves.setdefault(trial.trial_id, {})
        if self._rule is not None:
            self._rule.on_trial_add(None, trial)

    def on_trial_result(self, _controller: None, trial: NamedTrial, result: Score) -> str:
        """Decide whether the trial goes on."""
        if self._rule is not None:
            return self._rule.on_trial_result(None, trial, result)
        self._hear(trial, result)
        return self._continue

    def on_trial_complete(self, _controller: None, trial: NamedTrial, result: Score) -> None:
        """Take in the last epoch; enough trials at their ends tell where the first rung is."""
        if self._rule is not None:
            self._rule.on_trial_complete(None, trial, result)
        else:
            self._hear(trial, result)

    def on_trial_remove(self, _controller: None, trial: NamedTrial) -> None:
        """Let go of a trial."""
        if self._rule is not None:
            self._rule.on_trial_remove(None, trial)

    def _hear(self, trial: NamedTrial, result: Score) -> None:
        curve = self._curves[trial.trial_id]
        curve[result["share"]] = self._objective.rank(result[TUNE_METRIC])
        self._history.append((trial, result))
        if result["share"] >= 1.0:
            self._whole[trial.trial_id] = curve
        if self.share is None and len(self._whole) == NUM_WHOLE:
            self.share = first_rung(list(self._whole.values()), LEAST_AGREEMENT)
            self._begin(self._build(self.share))

    def _begin(self, rule: Rule) -> None:
        for trial_id in self._curves:
            rule.on_trial_add(None, NamedTrial(trial_id))
        for trial, result in self._history:
            rule.on_trial_result(None, trial, result)
        self._rule = rule
        self._history.clear()
