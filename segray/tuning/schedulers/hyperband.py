"""Hyperband (Li et al. 2018), asynchronous: several ASHA brackets, whose first rungs lie ever later.

It hedges against an ASHA that stops slow starters too early. The first rung of bracket s lies at first x factor^s, a
share of a trial's schedule.
"""

from __future__ import annotations

import math
import zlib
from itertools import accumulate

from segray.objective import Objective
from segray.tuning.schedulers.kind import NamedTrial, Rule, SchedulerKind, Score, StoppingSettings
from segray.tuning.schedulers.learned import with_first_rung
from segray.tuning.schedulers.rungs import Rungs


class Hyperband:
    """ASHA in brackets. A trial's id decides its bracket, so a resume puts it into the same one.

    Args:
        first: Share of the schedule at the first rung of the earliest bracket.
        factor: Ratio of the shares of two rungs, and one in how many trials goes on.
        objective: Says which scores are better.
    """

    def __init__(self, first: float, factor: float, objective: Objective) -> None:
        # In floats log(243, 3) is a little less than 5, which would lose a bracket.
        num_brackets = int(math.log(1 / first, factor) + 1e-9) + 1
        self._brackets = [Rungs(min(first * factor**s, 1.0), factor, objective) for s in range(num_brackets)]
        # Trials per bracket, so that each costs about the same number of epochs.
        shares = [factor ** (num_brackets - 1 - s) / (num_brackets - s) for s in range(num_brackets)]
        self._bounds = [bound / sum(shares) for bound in accumulate(shares)]

    def bracket(self, trial_id: str) -> int:
        """Return the number of a trial's bracket, from 0 for the one that stops earliest."""
        # Not hash(), which gives a text another number in each process.
        place = zlib.crc32(trial_id.encode()) / 2**32
        # From Python 3.12 on sum() rounds otherwise than accumulate(), so the last bound may be less than 1.
        return next(number for number, bound in enumerate(self._bounds) if place < bound + 1e-9)

    def on_trial_add(self, _controller: None, trial: NamedTrial) -> None:
        """Take a trial in."""
        self._bracket_of(trial).on_trial_add(_controller, trial)

    def on_trial_result(self, _controller: None, trial: NamedTrial, result: Score) -> str:
        """Decide whether the trial goes on."""
        return self._bracket_of(trial).on_trial_result(_controller, trial, result)

    def on_trial_complete(self, _controller: None, trial: NamedTrial, result: Score) -> None:
        """Keep a trial's last epoch."""
        self._bracket_of(trial).on_trial_complete(_controller, trial, result)

    def on_trial_remove(self, _controller: None, trial: NamedTrial) -> None:
        """Let go of a trial."""
        self._bracket_of(trial).on_trial_remove(_controller, trial)

    def _bracket_of(self, trial: NamedTrial) -> Rule:
        return self._brackets[self.bracket(trial.trial_id)]


def _build(settings: StoppingSettings) -> Rule:
    return with_first_rung(lambda first: Hyperband(first, settings.reduction_factor, settings.objective), settings)


HYPERBAND = SchedulerKind(_build, "was not among those that its bracket of Hyperband lets go on")
