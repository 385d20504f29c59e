"""The decisions of freeze-thaw search over an Optuna study: the next new point, and whether a trial trains on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from segray.objective import PROPERTIES
from segray.tuning.attributes import EPOCHS, OTHERS, PAUSED, SECONDS
from segray.tuning.freeze_thaw.belief import Belief
from segray.tuning.freeze_thaw.curve import Curve
from segray.tuning.freeze_thaw.encoding import Params
from segray.tuning.points import FittedPoint, Point, draw_point, identity, sample_from
from segray.tuning.space import EPOCHS_KEY, Draw, Space

if TYPE_CHECKING:
    from segray.tuning.freeze_thaw.forecast import Forecast, Promise

NUM_RANDOM: Final = 300
"""Number of random points that are weighed for a new trial"""
NUM_NEAR: Final = 100
"""Number of points near the best trials that are weighed for a new trial"""
NUM_BEST: Final = 5
"""Number of the best trials whose neighbours are weighed for a new trial"""

LEAST_GAIN: Final = 0.1
"""Expected gain, in standard deviations between seeds, for which a paused trial trains on when no new one can begin"""

Scores = Mapping[int, Mapping[int, float]]
"""Trial number -> epoch -> score, of epochs that the study lacks yet"""


class FreezeThaw:
    """The decisions on what trains next, by the expected improvement at the end of each trial and of new points.

    Args:
        space: What is searched.
        seed: Seed of the points that are weighed.
        num_startup: Number of trials that must have a score before the model decides; until then points are random.
        belief: Values that are believed to be good.
        earlier: Trials of earlier sweeps, with numbers below 0; the model learns from them, and none goes on.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        num_startup: int = 4,
        belief: Belief | None = None,
        earlier: Sequence[FrozenTrial] = (),
    ) -> None:
        self._space, self._seed, self._num_startup = space, seed, num_startup
        self._belief, self._earlier = belief, earlier
        self._drawn: tuple[object, list[Draw]] | None = None
        self._last: tuple[object, Forecast] | None = None

    def points(self, study: optuna.Study) -> list[Draw]:
        """Return points for the next new trial, the most promising first; random ones at the start."""
        seen = _Seen(study, self._earlier)
        draws, forecast = self._candidates(seen), self._forecast(seen)
        if forecast is None:
            return draws
        worth = self._of_points(seen, forecast).worth
        return [draws[place] for place in np.argsort(-worth, kind="stable")]

    def is_flat(self, study: optuna.Study) -> bool:
        """Return whether neither a paused trial nor a new point is expected to gain what is worth an epoch."""
        seen = _Seen(study, self._earlier)
        forecast = self._forecast(seen)
        if forecast is None:
            return False
        gains = [*self._of_points(seen, forecast).gains, *forecast.of_trials(seen.paused).gains]
        return max(gains, default=0.0) < self.least_gain(forecast)

    def keeps_slot(self, study: optuna.Study, number: int, epoch: int, best: float, *, can_begin: bool) -> bool:
        """Return whether a running trial is worth more than each paused one and than a new one.

        Args:
            study: The study, which has not heard of the epoch yet.
            number: The trial's number.
            epoch: The epoch that it has just completed.
            best: Its best score so far; NaN before there is one.
            can_begin: Whether a new trial could take the slot. If none can, the trial must be worth an epoch at all.
        """
        if math.isnan(best):
            return True
        seen = _Seen(study, self._earlier, {number: {epoch: best}})
        forecast = self._forecast(seen, asked=number)
        # The first trials show an epoch each: the baseline, which is never paused, shows a whole curve.
        if forecast is None:
            return not can_begin
        promise = forecast.of_trials([number, *seen.paused])
        own, *others = promise.worth
        if can_begin:
            others += [*self._of_points(seen, forecast).worth]
        elif promise.gains[0] < self.least_gain(forecast):
            return False
        return bool(own >= max(others, default=0.0))

    def next_paused(self, study: optuna.Study, paused: Sequence[int], *, can_begin: bool) -> int | None:
        """Return the paused trial that is worth most, if it is worth more than a new one.

        Args:
            study: The study.
            paused: Numbers of the paused trials, in the order in which they left their slots.
            can_begin: Whether a new trial could take the slot. If none can, the trial must be worth an epoch at all.
        """
        if not paused:
            return None
        seen = _Seen(study, self._earlier)
        forecast = self._forecast(seen)
        if forecast is None:
            return None if can_begin else paused[0]
        promise = forecast.of_trials(paused)
        if can_begin:
            best = int(np.argmax(promise.worth))
            new = self._of_points(seen, forecast).worth.max(initial=-math.inf)
            return paused[best] if promise.worth[best] >= new else None
        worthwhile = promise.gains >= self.least_gain(forecast)
        return paused[int(np.argmax(np.where(worthwhile, promise.worth, -math.inf)))] if worthwhile.any() else None

    def least_gain(self, forecast: Forecast) -> float:
        """Return the gain below which nothing is worth an epoch."""
        return LEAST_GAIN * forecast.noise

    def _of_points(self, seen: _Seen, forecast: Forecast) -> Promise:
        # It brings torch, which a command's --help does without.
        from segray.tuning.freeze_thaw.forecast import Promise

        draws = self._candidates(seen)
        longest = max(curve.num_epochs for curve in seen.curves)
        asked = [draw.values.get(EPOCHS_KEY) for draw in draws]
        num_epochs = [epochs if isinstance(epochs, int) else longest for epochs in asked]
        points = [draw.drawn for draw in draws]
        promise = forecast.of_points(points, num_epochs)
        if self._belief is None or not points:
            return promise
        return Promise(promise.gains, promise.worth * forecast.weights(self._belief, points, len(seen.begun)))

    def _forecast(self, seen: _Seen, asked: int | None = None) -> Forecast | None:
        """Return what is expected of all trials; None while too few have a score.

        Args:
            seen: The study.
            asked: A running trial that may leave its slot; all others are believed to end as expected.
        """
        # It brings torch, which a command's --help does without.
        from segray.tuning.freeze_thaw.forecast import Forecast

        if sum(curve.best() > -math.inf for curve in seen.curves) < max(self._num_startup, 2):
            return None
        state = [_state(curve) for curve in seen.curves]
        if self._last is None or self._last[0] != state:
            self._last = state, Forecast(seen.curves)
        running = [curve.number for curve in seen.curves if curve.runs and curve.number != asked]
        return self._last[1].believing(running)

    def _candidates(self, seen: _Seen) -> list[Draw]:
        """Return points that no trial has: random ones, some near the best trials, and the best ones of earlier sweeps.

        They follow from the number of trials and from the best ones alone, so that a resume weighs the same points.
        """
        scored = [curve for curve in seen.curves if curve.best() > -math.inf]
        best = sorted(scored, key=lambda curve: (-curve.best(), curve.number))[:NUM_BEST]
        state = len(seen.begun), [curve.number for curve in best]
        if self._drawn is None or self._drawn[0] != state:
            random = np.random.default_rng((self._seed, len(seen.begun)))

            def sample(_point: Point, _name: str, distribution: BaseDistribution) -> object:
                return sample_from(distribution, random)

            fixed: list[Params] = [{}] * NUM_RANDOM
            if best:
                fixed += [_near(best[index % len(best)].params, random) for index in range(NUM_NEAR)]
            fixed += [curve.params for curve in best if not curve.is_own]
            draws = (draw_point(self._space, FittedPoint(given, sample)) for given in fixed)
            found = {identity(draw.drawn): draw for draw in draws}
            tried = {identity(trial.params) for trial in seen.begun}
            self._drawn = state, [draw for key, draw in found.items() if key not in tried]
        return self._drawn[1]


def _state(curve: Curve) -> tuple[object, ...]:
    """Return what a forecast depends on."""
    # No NaN is equal to another.
    aside = tuple(None if math.isnan(value) else value for value in (*curve.costs, curve.seconds))
    return curve.number, len(curve.scores), curve.runs, curve.has_failed, curve.is_infeasible, aside


class _Seen:
    """The trials of a study at one moment; reading them from a database takes longer than the model.

    Args:
        study: The study.
        earlier: Trials of earlier sweeps.
        news: Scores of epochs that it has not heard of yet.
    """

    def __init__(
        self, study: optuna.Study, earlier: Sequence[FrozenTrial], news: Scores = MappingProxyType({})
    ) -> None:
        self.begun = [trial for trial in study.get_trials(deepcopy=False) if trial.params]
        """The trials that have values"""
        self.paused = [trial.number for trial in self.begun if _is_paused(trial)]
        """Numbers of the paused trials"""
        trials = (*earlier, *self.begun)
        curves = [_curve(trial, study.directions, news.get(trial.number, {})) for trial in trials]
        self.curves = [curve for curve in curves if curve.seen() or curve.runs]
        """The curves of the trials that have a score or a slot, or cannot be trained"""


def _is_paused(trial: FrozenTrial) -> bool:
    # A trial that ended while it was paused keeps the attribute.
    return trial.state == TrialState.RUNNING and bool(trial.user_attrs.get(PAUSED))


def _curve(trial: FrozenTrial, directions: Sequence[StudyDirection], news: Mapping[int, float]) -> Curve:
    main, *others = directions
    sign = 1.0 if main == StudyDirection.MAXIMIZE else -1.0
    scores = {**trial.intermediate_values, **news}
    # What a trial is kept for is its best epoch.
    epochs = sorted(scores)
    best = np.maximum.accumulate([sign * scores[epoch] for epoch in epochs])
    return Curve(
        number=trial.number,
        params=trial.params,
        distributions=trial.distributions,
        num_epochs=trial.user_attrs.get(EPOCHS, max(scores, default=1)),
        scores=dict(zip(epochs, best.tolist(), strict=True)),
        runs=trial.state == TrialState.RUNNING and not _is_paused(trial),
        costs=_costs(trial.user_attrs.get(OTHERS, {}), others),
        seconds=trial.user_attrs.get(SECONDS, math.nan),
        has_failed=trial.state == TrialState.FAIL,
        is_infeasible=any(value > 0 for value in trial.constraints.values()),
    )


def _costs(values: Mapping[str, float | None], directions: Sequence[StudyDirection]) -> tuple[float, ...]:
    """Return the values of the other objectives as costs; latencies and sizes by their logarithms."""
    if not values:
        return (math.nan,) * len(directions)
    pairs = zip(values.items(), directions, strict=True)
    return tuple(_cost(name, value, direction) for (name, value), direction in pairs)


def _cost(name: str, value: float | None, direction: StudyDirection) -> float:
    if value is None:
        return math.nan
    sign = 1.0 if direction == StudyDirection.MINIMIZE else -1.0
    return sign * (math.log(value) if name in PROPERTIES and value > 0 else value)


def _near(params: Params, random: np.random.Generator) -> Params:
    """Leave one or two keys of a point out, to be drawn again."""
    keys = list(params)
    dropped = random.choice(len(keys), size=min(int(random.integers(1, 3)), len(keys)), replace=False)
    return {key: params[key] for index, key in enumerate(keys) if index not in dropped}
