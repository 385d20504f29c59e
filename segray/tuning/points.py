"""Points of a search space: drawn outside a study, compared, and enumerated.

`FixedTrial._params` and `FixedTrial._suggest` are internals of Optuna, read from version 5.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from segray.tuning.space import Distribution, Draw, Space, contains, draw_from
from segray.values import Values

Sample = Callable[["Point", str, Distribution], object]
"""A function that chooses the value of a key that a point lacks."""


class Point(optuna.trial.FixedTrial):
    """A trial outside any study, which holds given values and samples the missing ones.

    Args:
        fixed: Dotted key -> value; keys that the space does not ask for are ignored.
        sample: Chooses the other values.
    """

    def __init__(self, fixed: Values, sample: Sample) -> None:
        super().__init__(dict(fixed))
        self._sample = sample

    def _suggest(self, name: str, distribution: Distribution) -> object:
        if name not in self._params:
            self._params[name] = self._sample(self, name, distribution)
        internal = distribution.to_internal_repr(self._params[name])
        if not distribution._contains(internal):
            raise ValueError(f"{name} cannot be {self._params[name]!r} here")
        # A given 1 becomes the choice 1.0: a study that is read from its file returns the choice.
        self._params[name] = distribution.to_external_repr(internal)
        return super()._suggest(name, distribution)


class FittedPoint(Point):
    """A point that samples a given value anew if the value is outside the key's range, which other keys may change."""

    def _suggest(self, name: str, distribution: Distribution) -> object:
        if name in self._params and not contains(distribution, self._params[name]):
            del self._params[name]
        return super()._suggest(name, distribution)


def draw_point(space: Space, point: Point) -> Draw:
    """Call a space with a point.

    Raises:
        ConfigError: The space has a mistake, or cannot give one of the point's values.
    """
    return draw_from(space, point)  # type: ignore[arg-type]


def identity(drawn: Values) -> str:
    """Return a text that is equal for two trials with equal values; floats count to 12 digits."""
    return json.dumps({key: _rounded(value) for key, value in drawn.items()}, sort_keys=True)


def combinations(space: Space, sample: Sample) -> Iterator[Draw]:
    """Yield every point of a space once; a number without a step has too many values, so one is sampled.

    Args:
        space: The search space; its keys may depend on each other.
        sample: Chooses the values of numbers without a step.
    """
    yield from _below({}, space, sample)


def _below(fixed: Values, space: Space, sample: Sample) -> Iterator[Draw]:
    options: dict[str, Sequence[object]] = {}

    def first(point: Point, name: str, distribution: Distribution) -> object:
        options[name] = all_values(distribution) or [sample(point, name, distribution)]
        return options[name][0]

    draw = draw_point(space, Point(fixed, first))
    yield draw
    drawn = list(draw.drawn.items())
    # From the last key back, because the keys after an option may depend on it.
    for position, (key, _) in reversed(list(enumerate(drawn))):
        for option in options.get(key, ())[1:]:
            yield from _below({**dict(drawn[:position]), key: option}, space, sample)


def all_values(distribution: Distribution) -> Sequence[object]:
    """Return all values of a distribution; an empty list if there are too many."""
    if isinstance(distribution, CategoricalDistribution):
        # A study may list a choice twice, so that it is drawn more often.
        return list({json.dumps(choice): choice for choice in distribution.choices}.values())
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, FloatDistribution)
    if distribution.single():
        return [distribution.low]
    if distribution.step is None:
        return []
    steps = round((distribution.high - distribution.low) / distribution.step)
    # As Optuna rounds: three steps of 0.1 are a little more than 0.3.
    return [min(distribution.low + step * distribution.step, distribution.high) for step in range(steps + 1)]


def sample_from(distribution: Distribution, random: np.random.Generator) -> object:
    """Draw a value of a distribution, evenly on its own scale."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[random.integers(len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        value = float(np.exp(random.uniform(np.log(low), np.log(high))))
    elif step is not None:
        value = low + step * int(random.integers(round((high - low) / step) + 1))
    else:
        value = float(random.uniform(low, high))
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value


def first_of(_point: Point, _name: str, distribution: Distribution) -> object:
    """Choose the first choice of a distribution, or its lowest number."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return distribution.low


def _rounded(value: object) -> object:
    # A step may be a sum with another last digit: 0.1 + 0.2 is not 0.3.
    return float(f"{value:.12g}") if isinstance(value, float) else value
