"""The expected ends of the trials that a search has begun, and of points that it could begin."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.tuning.freeze_thaw.belief import Belief
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
COST_WEIGHT: Final = 0.1
"""Power of the time of a whole schedule by which a gain is divided: 0 ignores time, 1 is the gain per second.

Where epochs are searched, one half was slower than 0 to the goal of a table, also in seconds: 110 epochs against 74, in
six searches each.
"""

Floats = NDArray[np.float64]


class Promise(NamedTuple):
    """The expected gains of some trials or points, alone and for their time."""

    gains: Floats
    """Expected improvement at the end over what has been reached, in the unit of the score"""
    worth: Floats
    """Gain of hypervolume for the time of the schedule; only comparisons have a meaning"""


class Forecast:
    """The expected gains of trials and points at one moment, over what the trials have reached.

    With one objective the gain is the expected improvement over the best score, with several the expected hypervolume
    improvement; the costs of a point are those that the model expects. What takes longer has to promise more.

    Args:
        curves: The trials; at least two have a score.
    """

    def __init__(self, curves: Sequence[Curve]) -> None:
        # Thinning keeps the best scores, and would lose the cheap end of the front.
        self._front = Front(_to_beat(curves), _aside(curves)[:, :-1])
        curves = _thinned(curves)
        self._encoding = Encoding(curve.distributions for curve in curves)
        self._curves = curves
        self._position = {curve.number: position for position, curve in enumerate(curves)}
        self._places = self._encoding.encode([curve.params for curve in curves])
        self._gaps = self._encoding.gaps(self._places, self._places)
        self._aside = _aside(curves)
        seen, fitted = (_observations(curves, most) for most in (MOST_OBSERVATIONS, MOST_FITTED))
        self._model = Surrogate(self._gaps, seen, fitted)
        self._aside_models = [_aside_model(self._gaps, values) for values in self._aside.T]

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

    def of_trials(self, numbers: Sequence[int]) -> Promise:
        """Return what trials promise if they train to their end, in the order of their numbers.

        A trial that the model leaves out is among the worst, and gains nothing.
        """
        known = np.array([self._position[number] for number in numbers if number in self._position], dtype=np.int64)
        gains = np.zeros(len(numbers))
        worth = np.zeros(len(numbers))
        if len(known):
            found = self._promise(self._gaps[known], [self._curves[place].num_epochs for place in known], known)
            places = [place for place, number in enumerate(numbers) if number in self._position]
            gains[places], worth[places] = found.gains, found.worth
        return Promise(gains, worth)

    def of_points(self, points: Sequence[Params], num_epochs: Sequence[int]) -> Promise:
        """Return what points promise that no trial has begun.

        Args:
            points: The points.
            num_epochs: The length of each one's schedule.
        """
        gaps = self._encoding.gaps(self._encoding.encode(points), self._places)
        return self._promise(gaps, num_epochs)

    def weights(self, belief: Belief, points: Sequence[Params], num_trials: int) -> Floats:
        """Return how much a belief favours points; see ``Belief.weights``."""
        return belief.weights(points, self._encoding, num_trials)

    def _promise(self, gaps: Floats, num_epochs: Sequence[int], known: NDArray[np.int64] | None = None) -> Promise:
        aside = self._expected_aside(gaps, known)
        costs, seconds = aside[:, :-1], np.exp(aside[:, -1])
        gains, volumes = self._front.gain(*self._model.ends(gaps, known), costs)
        # The whole schedule, not what is left of it, which would favour each trial that is nearly done.
        effort = seconds * np.asarray(num_epochs)
        return Promise(gains, volumes / effort**COST_WEIGHT)

    def _expected_aside(self, gaps: Floats, known: NDArray[np.int64] | None) -> Floats:
        expected = [
            np.full(len(gaps), _mean(values)) if model is None else model.ends(gaps)[0]
            for model, values in zip(self._aside_models, self._aside.T, strict=True)
        ]
        found = np.column_stack(expected)
        return found if known is None else np.where(np.isnan(self._aside[known]), found, self._aside[known])


def _aside(curves: Sequence[Curve]) -> Floats:
    """Return costs and the logarithm of an epoch's seconds, (trials, costs + 1); NaN where they are not known."""
    return np.array([(*curve.costs, _log(curve.seconds)) for curve in curves], np.float64)


def _mean(values: Floats) -> float:
    """Return what to expect without two trials to learn from: all are alike."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def _log(seconds: float) -> float:
    return math.log(seconds) if seconds > 0 else math.nan


def _aside_model(gaps: Floats, values: Floats) -> Surrogate | None:
    """Return a model of what no training changes, by the trials that have it; None if fewer than two have."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 2:
        return None
    # The same model as that of the scores, at the ends of the schedules.
    seen = Observations(known.astype(np.int64), np.ones(len(known)), values[known])
    return Surrogate(gaps, seen, seen, both_ends=True)


def _to_beat(curves: Sequence[Curve]) -> Floats:
    """Return the best scores of this sweep's own trials, (trials,); minus infinity for the others."""
    # A model of an earlier sweep is not in this one, so its score leaves something to improve here.
    own = np.array([curve.best() if curve.is_own else -math.inf for curve in curves])
    if np.isfinite(own).any():
        return own
    # Below all that is known, the largest expected improvement is the best expected end.
    return np.full(len(curves), min(curve.best() for curve in curves if curve.best() > -math.inf))


def _is_done(curve: Curve) -> bool:
    return curve.num_epochs in curve.seen()


def _thinned(curves: Sequence[Curve]) -> Sequence[Curve]:
    """Keep the best trials, those in a slot, and every few of the others; this sweep's own go first."""
    if len(curves) <= MOST_TRIALS:
        return curves
    ranked = sorted(curves, key=lambda curve: (-curve.runs, -curve.is_own, -curve.best(), curve.number))
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
