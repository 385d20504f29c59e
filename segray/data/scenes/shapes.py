"""Convex faces in world coordinates, shape (num_corners, 3), and colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

Rgb = tuple[float, float, float]

_TURNS: Final = np.linspace(0, 2 * np.pi, 14, endpoint=False)
CIRCLE: Final = np.stack([np.cos(_TURNS), np.sin(_TURNS), np.zeros(14)], axis=-1)
"""Corners of a unit circle that faces the camera, shape (14, 3)."""

PAINTS: Final[tuple[Rgb, ...]] = (
    (190, 30, 34), (32, 62, 128), (235, 235, 238), (30, 32, 36), (150, 154, 160), (88, 92, 98), (36, 92, 66),
    (206, 168, 60), (98, 28, 42), (120, 160, 196),
)  # fmt: skip
CLOTHES: Final[tuple[Rgb, ...]] = (
    (34, 38, 60), (176, 36, 44), (226, 222, 212), (40, 96, 70), (58, 96, 160), (90, 70, 56), (222, 168, 48),
    (24, 24, 26), (146, 80, 130), (110, 112, 118),
)  # fmt: skip


def flat(left: float, right: float, near: float, far: float) -> NDArray[np.float64]:
    """Return a rectangle on the ground."""
    return np.array([(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)])


def upright(left: float, right: float, bottom: float, top: float, z: float) -> NDArray[np.float64]:
    """Return a rectangle that faces the camera."""
    return np.array([(left, bottom, z), (right, bottom, z), (right, top, z), (left, top, z)])


def along(x: float, bottom: float, top: float, near: float, far: float) -> NDArray[np.float64]:
    """Return an upright rectangle that runs along the street."""
    return np.array([(x, bottom, near), (x, bottom, far), (x, top, far), (x, top, near)])


def disc(x: float, y: float, z: float, radius: float, radius_y: float | None = None) -> NDArray[np.float64]:
    """Return a disc or ellipse that faces the camera."""
    return CIRCLE * (radius, radius_y or radius, 0) + (x, y, z)


def ground_disc(x: float, z: float, radius: float) -> NDArray[np.float64]:
    """Return a disc on the ground."""
    return CIRCLE[:, [0, 2, 1]] * radius + (x, 0, z)


def regular(corners: int, turn: float, x: float, y: float, z: float) -> Callable[[float], NDArray[np.float64]]:
    """Return a regular polygon that faces the camera, by its radius."""
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    rim = np.stack([np.cos(angles), np.sin(angles), np.zeros(corners)], axis=-1)
    return lambda radius: rim * radius + (x, y, z)


def shrunk(face: ArrayLike, factor: float) -> NDArray[np.float64]:
    """Return the face, scaled towards its centre."""
    corners = np.asarray(face, float)
    center: NDArray[np.float64] = corners.mean(axis=0)
    return center + factor * (corners - center)


def pick(rng: Generator, colors: Sequence[Rgb]) -> Rgb:
    """Draw one of the colours."""
    return colors[int(rng.integers(len(colors)))]


def scaled(color: Rgb, factor: float) -> Rgb:
    """Return the colour, made brighter or darker."""
    red, green, blue = color
    return min(red * factor, 255), min(green * factor, 255), min(blue * factor, 255)


def jittered(rng: Generator, color: Rgb, amount: float) -> Rgb:
    """Return the colour with noise, whose standard deviation is half the amount."""
    red, green, blue = np.clip(np.array(color) + rng.normal(0, amount / 2, 3), 0, 255).tolist()
    return red, green, blue
