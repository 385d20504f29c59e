"""A drawn scene and its place in a data set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.dataset import Split


class Scene(NamedTuple):
    """A drawn street scene that will be written in the layout of a data set."""

    split: Split
    number: int
    """Number of the scene in its split, from 0"""
    photo: NDArray[np.uint8]
    """(height, width, 3), RGB"""
    label: NDArray[np.uint8]
    """(height, width), Cityscapes label ids"""
