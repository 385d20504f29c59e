"""The best trials so far, and what a new result would add to them: the hypervolume of several objectives."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

BEYOND: Final = 1.1
"""The worst cost that counts, where 0 is the lowest cost of a trial and 1 the highest; the worst trial still counts"""
CHEAPEST: Final = -1.0
"""The lowest cost that counts"""
MOST_LEVELS: Final = 24
"""Most levels of a cost that are told apart"""
MOST_BOXES: Final = 4096
"""Most boxes of costs; with many costs, fewer levels of each are told apart"""
SPREADS: Final = 3.0
"""A score below the median by more than so many spreads of the better half counts no worse"""
MOST_MEDIANS: Final = 30.0
"""A cost further from the lowest one than so many times the median counts no worse"""
LEAST_BOX: Final = 0.01
"""Least part of the costs' range for which a gain of score counts alone"""

Floats = NDArray[np.float64]


class Front:
    """The scores that are to be beaten, at each cost.

    A result with score y and costs c adds to the hypervolume, at each point of the costs above c, as much as y is above
    the best score of the trials that cost no more. So the expected gain is a sum of expected improvements over boxes of
    costs. Without costs that is the expected improvement over the best score.

    Args:
        scores: Best score of each trial, (trials,); higher is better, minus infinity for none.
        costs: Costs of each trial, (trials, costs), lower is better; NaN where they are not known.
    """

    def __init__(self, scores: Floats, costs: Floats) -> None:
        self.best = float(scores.max())
        """The best score, whatever it costs"""
        known = np.isfinite(costs).all(axis=1)
        self._low, self._range = _range(costs[known])
        # A trial without known costs has not been weighed yet, and is no bar for others.
        counts = known & np.isfinite(scores)
        self._build(scores[counts], self._scaled(costs[counts]), floor=_floor(scores[np.isfinite(scores)]))

    def _build(self, scores: Floats, costs: Floats, floor: float) -> None:
        most = min(MOST_LEVELS, int(MOST_BOXES ** (1 / max(costs.shape[1], 1))) - 1)
        levels = [_levels(costs[:, cost], most) for cost in range(costs.shape[1])]
        self._starts = _grid(levels)
        self._ends = _grid([np.append(level[1:], BEYOND) for level in levels])
        cheaper = (costs[None] <= self._starts[:, None] + 1e-12).all(axis=-1)
        found = np.where(cheaper, scores[None], -math.inf).max(axis=1, initial=-math.inf)
        self._bars = np.maximum(found, floor)

    def gain(self, mean: Floats, spread: Floats, costs: Floats) -> tuple[Floats, Floats]:
        """Return the expected gains of results: of score over the bar that is easiest to pass, and of hypervolume.

        Args:
            mean: Expected score, (asked,).
            spread: Standard deviation of the score, (asked,).
            costs: Costs, (asked, costs).

        Returns:
            Both as (asked,); with one objective they are the same.
        """
        # What costs more than every trial so far may still have the best score.
        scaled = np.clip(self._scaled(costs), CHEAPEST, 1.0)
        inside = np.maximum(self._ends[None] - np.maximum(self._starts[None], scaled[:, None]), 0.0)
        z = (mean[:, None] - self._bars[None]) / spread[:, None]
        density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
        gains, volumes = spread[:, None] * (z * ndtr(z) + density), inside.prod(axis=-1)
        # A cost that is predicted a little below all others is no reason to go on.
        return np.where(volumes >= LEAST_BOX, gains, 0.0).max(axis=1), (volumes * gains).sum(axis=1)

    def _scaled(self, costs: Floats) -> Floats:
        return (costs - self._low) / self._range


def _range(costs: Floats) -> tuple[Floats, Floats]:
    if not len(costs):
        return np.zeros(costs.shape[1]), np.ones(costs.shape[1])
    low, high, middle = costs.min(axis=0), costs.max(axis=0), np.median(costs, axis=0)
    # One loss of 10,000 would leave all others the same place.
    high = np.where(middle > low, np.minimum(high, low + MOST_MEDIANS * (middle - low)), high)
    return low, np.where(high > low, high - low, 1.0)


def _floor(scores: Floats) -> float:
    """Return the lowest of some scores; a little less than their median if the lowest is far below it."""
    middle = float(np.median(scores))
    spread = float(np.sqrt(((scores[scores >= middle] - middle) ** 2).mean()))
    return max(float(scores.min()), middle - SPREADS * spread) if spread else float(scores.min())


def _levels(costs: Floats, most: int) -> Floats:
    """Return the costs at which the bar may change, from the lowest; a few evenly chosen ones if there are many."""
    levels = np.unique(np.minimum(costs, 1.0))
    if len(levels) > most:
        levels = levels[np.linspace(0, len(levels) - 1, most).round().astype(int)]
    return np.append(CHEAPEST, levels)


def _grid(axes: list[Floats]) -> Floats:
    """Return all combinations, (combinations, axes); one empty combination without axes."""
    return np.array(list(itertools.product(*axes)), np.float64).reshape(math.prod(map(len, axes)), len(axes))
