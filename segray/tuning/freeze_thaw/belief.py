"""A belief about good values, which counts less with each trial (piBO, Hvarfner et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.tuning.freeze_thaw.encoding import Encoding, Params

STRENGTH: Final = 4.0
"""Number of trials after which the belief counts once: its power is this number divided by that of the trials"""
WIDTH: Final = 0.15
"""How far from a believed number the belief reaches, as a share of the number's range"""
LEAST: Final = 0.5
"""Belief in values far away, in each key, where 1 is the belief in the value itself: a wrong belief costs little"""


def belief_weights(
    belief: Params, points: Sequence[Params], encoding: Encoding, num_trials: int
) -> NDArray[np.float64]:
    """Return the factors of the expected gains of points, (points,): 1 at the believed values, less elsewhere.

    Args:
        belief: Believed values by key; a key that is left out is left open.
        points: The points.
        encoding: The keys and their ranges.
        num_trials: Number of trials that have begun.
    """
    keys = [place for place, key in enumerate(encoding.keys) if key in belief]
    centre = encoding.encode([{encoding.keys[place]: belief[encoding.keys[place]] for place in keys}])
    gaps = encoding.gaps(centre, encoding.encode(points))[0][:, keys]
    near = LEAST + (1 - LEAST) * np.exp(-0.5 * (gaps / WIDTH) ** 2)
    weights: NDArray[np.float64] = near.prod(axis=1) ** (STRENGTH / max(num_trials, 1))
    return weights
