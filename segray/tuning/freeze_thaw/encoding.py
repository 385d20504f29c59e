"""Points of a search space as numbers, with distances that conditional and categorical keys take part in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Params = Mapping[str, object]
Distributions = Mapping[str, BaseDistribution]


class Encoding:
    """The keys of some points, each with the range of its values.

    Args:
        drawn: The distributions of each point by key; a number's range may differ from point to point.
    """

    def __init__(self, drawn: Iterable[Distributions]) -> None:
        ranges: dict[str, BaseDistribution] = {}
        for distributions in drawn:
            for key, distribution in distributions.items():
                ranges[key] = _union(ranges[key], distribution) if key in ranges else distribution
        self.keys = tuple(sorted(key for key, distribution in ranges.items() if not distribution.single()))
        """Keys with more than one value"""
        self._distributions = [ranges[key] for key in self.keys]
        self.is_choice = np.array([isinstance(d, CategoricalDistribution) for d in self._distributions], bool)
        """Whether a key's values have no order"""

    def encode(self, points: Sequence[Params]) -> NDArray[np.float64]:
        """Return the points as an array, (points, keys): numbers from 0 to 1, choices by index, missing keys NaN."""
        pairs = list(zip(self.keys, self._distributions, strict=True))
        rows = [[_place(d, point[key]) if key in point else math.nan for key, d in pairs] for point in points]
        return np.array(rows, dtype=np.float64).reshape(len(points), len(self.keys))

    def gaps(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far points are apart in each key, from 0 to 1, (first, second, keys).

        Two choices that differ, and a key that only one of two points has, count as far as the ends of a range.
        """
        with np.errstate(invalid="ignore"):
            gaps = np.abs(first[:, None] - second[None])
        gaps = np.where(self.is_choice, gaps > 0, gaps)
        lacking = np.isnan(first)[:, None] != np.isnan(second)[None]
        return np.where(lacking, 1.0, np.nan_to_num(gaps, nan=0.0))


def _union(first: BaseDistribution, second: BaseDistribution) -> BaseDistribution:
    """Return the range that holds two ranges of a number; Optuna lets no trial change the choices of a key."""
    if isinstance(first, CategoricalDistribution) or isinstance(second, CategoricalDistribution) or first == second:
        return first
    assert isinstance(first, FloatDistribution | IntDistribution)
    assert isinstance(second, FloatDistribution | IntDistribution)
    low, high = min(first.low, second.low), max(first.high, second.high)
    return FloatDistribution(low, high, log=first.log and second.log)


def _place(distribution: BaseDistribution, value: Any) -> float:
    """Return where a value lies in its range, from 0 to 1; the index of a choice."""
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, number = float(distribution.low), float(distribution.high), distribution.to_internal_repr(value)
    if distribution.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return (number - low) / (high - low)
