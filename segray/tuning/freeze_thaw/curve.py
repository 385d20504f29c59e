"""The learning curve of a trial, as the model of freeze-thaw search sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from segray.tuning.freeze_thaw.encoding import Distributions, Params


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A trial's learning curve so far."""

    number: int
    """Number in the study; below 0 for a trial of an earlier sweep"""
    params: Params
    distributions: Distributions
    num_epochs: int
    """Length of its schedule"""
    scores: Mapping[int, float]
    """Epoch -> score; higher is better"""
    runs: bool
    """Whether it is in a slot now"""
    costs: tuple[float, ...] = ()
    """Values of the other objectives, as costs: lower is better; NaN for one that is not known"""
    seconds: float = math.nan
    """Mean time of an epoch; NaN if it is not known"""
    has_failed: bool = False
    """Whether an error ended it; its scores still tell about configs, but a sweep recommends no such trial"""
    is_infeasible: bool = False
    """Whether its values cannot be trained; its scores then count for nothing"""

    @property
    def is_own(self) -> bool:
        """Whether the trial is of this sweep."""
        return self.number >= 0

    def best(self) -> float:
        """Return the best score so far that a sweep may recommend; minus infinity if there is none."""
        return -math.inf if self.has_failed or self.is_infeasible else max(self.scores.values(), default=-math.inf)

    def seen(self) -> Mapping[int, float]:
        """Return what a model sees: the scores; if the values cannot be trained, an end below all others."""
        return {self.num_epochs: -math.inf} if self.is_infeasible else self.scores
