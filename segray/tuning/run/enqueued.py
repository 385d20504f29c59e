"""Points that persons add to a running search."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np

from segray.errors import ConfigError
from segray.tuning.points import Point, Sample, draw_point, identity, sample_from
from segray.tuning.run.asked import AskedTrial
from segray.tuning.space import Distribution, Draw, Space
from segray.values import Values

NUM_FILLED = 50
"""Number of ways in which the missing keys of an enqueued point are filled, until the point is new."""


@dataclass(frozen=True)
class Enqueued:
    """A point that a person asked for, and that waits for its trial."""

    values: Values
    close: Callable[[str], None]
    """Called with a sentence when a trial has begun with the values, or none can"""

    def untried(self, space: Space, tried: Mapping[str, str], asked: AskedTrial) -> Draw | None:
        """Return a new point that has the values; None if all that were found are tried.

        Args:
            space: What is searched.
            tried: Identity of each tried point -> id of its trial.
            asked: The trial that begins; its sampler chooses the missing values, then chance.
        """
        samples = chain([asked.new_sample()], repeat(asked.random_sample(), NUM_FILLED))
        return next((draw for draw in _filled(space, self.values, samples) if identity(draw.drawn) not in tried), None)


class Queue:
    """The points that wait for their trials, in the order in which they were asked for.

    Args:
        space: What is searched.
        tried: Identity of each tried point -> id of its trial; the search keeps it up to date.
    """

    def __init__(self, space: Space, tried: Mapping[str, str]) -> None:
        self._space, self._tried = space, tried
        self._waiting: list[Enqueued] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> Enqueued:
        """Return the first point, which waits no longer."""
        return self._waiting.pop(0)

    def add(self, values: Values, check: Callable[[Values], None], close: Callable[[str], None]) -> None:
        """Let a point wait for its trial.

        Args:
            values: Dotted key -> value; keys that are left out are sampled when the trial begins.
            check: Called with a whole point that has the values; raises a SegrayError if such a trial cannot work.
            close: Called with a sentence when a trial has begun with the values, or none can.

        Raises:
            ConfigError: No point of the space has the values, or a trial or another waiting point has them already.
            SegrayError: The check raised it.
        """
        random = np.random.default_rng()

        def sample(_point: Point, _name: str, distribution: Distribution) -> object:
            return sample_from(distribution, random)

        draws = list(_filled(self._space, values, repeat(sample, NUM_FILLED)))
        if not draws:
            unused = values.keys() - draw_point(self._space, Point(values, sample)).drawn.keys()
            raise ConfigError(
                f"the space asks for {', '.join(sorted(unused or values))} only after other choices; give these "
                "choices, too"
            )
        untried = next((draw for draw in draws if identity(draw.drawn) not in self._tried), None)
        if untried is None:
            trial = self._tried[identity(draws[0].drawn)]
            raise ConfigError(f"trial {trial} has these values, and no point is tried twice; change one of them")
        if any(identity(other.values) == identity(values) for other in self._waiting):
            raise ConfigError("a point with these values waits for its trial already")
        check(untried.values)
        self._waiting.append(Enqueued(values, close))


def _filled(space: Space, values: Values, samples: Iterable[Sample]) -> Iterable[Draw]:
    """Yield points that have all of the values; a space asks for some keys only after certain choices."""
    for sample in samples:
        # After other choices, a key may have another range.
        with contextlib.suppress(ConfigError):
            draw = draw_point(space, Point(values, sample))
            if values.keys() <= draw.drawn.keys():
                yield draw
