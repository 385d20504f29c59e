"""Beliefs about good values, which count less with each trial (piBO, Hvarfner et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.tuning.freeze_thaw.encoding import Encoding, Params

STRENGTH: Final = 4.0
"""Number of trials after which the belief counts once: its power is this number divided by that of the trials"""
WIDTH: Final = 0.15
"""How far from a believed number the belief reaches, as a share of the number's range"""
LEAST: Final = 0.5
"""Belief in values far away, where 1 is the belief in the value itself: a wrong belief costs little"""


@dataclass(frozen=True)
class Belief:
    """Values that are believed to be good."""

    point: Mapping[str, object] = field(default_factory=dict)
    """Values that go together, as those of a first trial: a point far away in all of them counts ``LEAST``"""
    values: Mapping[str, object] = field(default_factory=dict)
    """Values that are believed in each for itself: each that is far away counts ``LEAST``"""

    def weights(self, points: Sequence[Params], encoding: Encoding, num_trials: int) -> NDArray[np.float64]:
        """Return the factors of what points promise, (points,): 1 for the most believed of them, less for others.

        Args:
            points: The points; at least one.
            encoding: The keys and their ranges.
            num_trials: Number of trials that have begun.
        """
        together, alone = (_closeness(values, points, encoding) for values in (self.point, self.values))
        # The geometric mean over the keys of a point, since twelve halves would leave nothing but its neighbours.
        found = together.prod(axis=1) ** (1 / max(together.shape[1], 1)) * alone.prod(axis=1)
        weights: NDArray[np.float64] = (found / found.max()) ** (STRENGTH / max(num_trials, 1))
        return weights


def _closeness(values: Params, points: Sequence[Params], encoding: Encoding) -> NDArray[np.float64]:
    """Return how near points are to believed values, from ``LEAST`` to 1, (points, believed keys)."""
    keys = [place for place, key in enumerate(encoding.keys) if key in values]
    centre = encoding.encode([{encoding.keys[place]: values[encoding.keys[place]] for place in keys}])
    gaps = encoding.gaps(centre, encoding.encode(points))[0][:, keys]
    near: NDArray[np.float64] = LEAST + (1 - LEAST) * np.exp(-0.5 * (gaps / WIDTH) ** 2)
    return near
