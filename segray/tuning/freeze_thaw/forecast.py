"""The expected ends of the trials that a search has begun, and of points that it could begin."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.tuning.freeze_thaw.curve import Curve
from segray.tuning.freeze_thaw.encoding import Encoding, Params
from segray.tuning.freeze_thaw.front import Front
from segray.tuning.freeze_thaw.surrogate import Observations, Surrogate

MOST_TRIALS: Final = 160
"""Most trials in the model: the best ones, and some of the others"""
MOST_OBSERVATIONS: Final = 320
"""Most epochs in the model"""
MOST_FITTED: Final = 128
"""Most epochs by which the model's parameters are chosen"""


class Forecast:
    """The expected gains of trials and points at one moment, over what the trials have reached.

    With one objective the gain is the expected improvement over the best score, with several the expected hypervolume
    improvement; the costs of a point are those that the model expects.

    Args:
        curves: The trials; at least two have a score.
    """

    def __init__(self, curves: Sequence[Curve]) -> None:
        curves = _thinned(curves)
        self._encoding = Encoding(curve.distributions for curve in curves)
        self._curves = curves
        self._position = {curve.number: position for position, curve in enumerate(curves)}
        self._places = self._encoding.encode([curve.params for curve in curves])
        self._gaps = self._encoding.gaps(self._places, self._places)
        self._costs = np.array([curve.costs for curve in curves], np.float64).reshape(len(curves), -1)
        self._front = Front(np.array([curve.best() for curve in curves]), self._costs)
        seen, fitted = (_observations(curves, most) for most in (MOST_OBSERVATIONS, MOST_FITTED))
        self._model = Surrogate(self._gaps, seen, fitted)
        self._cost_models = [_cost_model(self._gaps, costs) for costs in self._costs.T]

    @property
    def best(self) -> float:
        """The best score so far of a trial that a sweep may recommend."""
        return self._front.best

    @property
    def noise(self) -> float:
        """The standard deviation of a final score between trials of one config."""
        return self._model.noise_at_end()

    def believing(self, numbers: Collection[int]) -> Forecast:
        """Return the forecast in which some trials end as expected: points that are like them have less to win."""
        # With more slots than half of the model's places, some running trials may be left out.
        places = [self._position[number] for number in numbers if number in self._position]
        running = [place for place in places if not _is_done(self._curves[place])]
        if not running:
            return self
        believing = copy.copy(self)
        believing._model = self._model.believing(np.array(running, np.int64), self._gaps[running])
        return believing

    def gains(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """Return what is expected of trials if they train to their end, in the order of their numbers.

        A trial that the model leaves out is among the worst, and gains nothing.
        """
        known = np.array([self._position[number] for number in numbers if number in self._position], dtype=np.int64)
        found = iter(self._gains(self._gaps[known], known) if len(known) else ())
        return np.array([next(found) if number in self._position else 0.0 for number in numbers])

    def gains_of_points(self, points: Sequence[Params]) -> NDArray[np.float64]:
        """Return what is expected of points that no trial has begun."""
        gaps = self._encoding.gaps(self._encoding.encode(points), self._places)
        return self._gains(gaps)

    def _gains(self, gaps: NDArray[np.float64], known: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        mean, spread = self._model.ends(gaps, known)
        # Without two trials to learn a cost from, all points cost the same.
        expected = [np.zeros(len(gaps)) if model is None else -model.ends(gaps)[0] for model in self._cost_models]
        costs = np.array(expected, np.float64).reshape(len(expected), len(gaps)).T
        if known is not None:
            costs = np.where(np.isnan(self._costs[known]), costs, self._costs[known])
        return self._front.gain(mean, spread, costs)


def _cost_model(gaps: NDArray[np.float64], costs: NDArray[np.float64]) -> Surrogate | None:
    """Return a model of one cost, by the trials that have it; None if fewer than two have."""
    known = np.flatnonzero(np.isfinite(costs))
    if len(known) < 2:
        return None
    # The same model as that of the scores, at the ends of the schedules; higher is better there.
    seen = Observations(known.astype(np.int64), np.ones(len(known)), -costs[known])
    return Surrogate(gaps, seen, seen)


def _is_done(curve: Curve) -> bool:
    return curve.num_epochs in curve.seen()


def _thinned(curves: Sequence[Curve]) -> Sequence[Curve]:
    """Keep the best trials, those in a slot, and every few of the others."""
    if len(curves) <= MOST_TRIALS:
        return curves
    ranked = sorted(curves, key=lambda curve: (-curve.runs, -curve.best(), curve.number))
    best, others = ranked[: MOST_TRIALS // 2], ranked[MOST_TRIALS // 2 :]
    places = np.linspace(0, len(others) - 1, MOST_TRIALS - len(best)).round().astype(int)
    return sorted(best + [others[place] for place in places], key=lambda curve: curve.number)


def _observations(curves: Sequence[Curve], most: int) -> Observations:
    """Return epochs of the curves: all if there are few, else of each curve the last and others evenly on log t."""
    scored = [index for index, curve in enumerate(curves) if curve.seen()]
    if 2 * len(scored) > most:
        scored = [scored[place] for place in np.linspace(0, len(scored) - 1, most // 2).round().astype(int)]
    of_each = max(most // len(scored), 2)
    chosen = [
        (index, epoch / curves[index].num_epochs, curves[index].seen()[epoch])
        for index in scored
        for epoch in _spread(sorted(curves[index].seen()), of_each)
    ]
    trials, shares, scores = zip(*chosen, strict=True)
    return Observations(np.array(trials, np.int64), np.array(shares), np.array(scores))


def _spread(epochs: Sequence[int], most: int) -> list[int]:
    if len(epochs) <= most:
        return list(epochs)
    places = np.geomspace(1, len(epochs), most).round().astype(int) - 1
    return [epochs[place] for place in dict.fromkeys(places.tolist())]
