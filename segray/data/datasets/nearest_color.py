"""Finds the nearest of a few colours for every pixel, with the same result on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segray.labels import Color


def nearest_color(pixels: NDArray[np.uint8], colors: Sequence[Color]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Find the nearest colour of each pixel.

    Args:
        pixels: Shape (..., 3), RGB.
        colors: At most 256.

    Returns:
        Position of the nearest colour (the first, if several are equally near), and its squared Euclidean RGB distance,
        a whole number; both of shape (...).
    """
    # Every product and every sum is a whole number below 2**24, so float32 is exact, whatever the order of addition.
    flat = pixels.reshape(-1, 3).astype(np.float32)
    targets = np.array(colors, dtype=np.float32)
    scores = flat @ (-2 * targets.T)
    scores += (targets**2).sum(axis=1)
    index = scores.argmin(axis=1)
    squared_distance = np.take_along_axis(scores, index[:, None], axis=1)[:, 0] + (flat**2).sum(axis=1)
    shape = pixels.shape[:-1]
    return index.astype(np.uint8).reshape(shape), squared_distance.reshape(shape)
