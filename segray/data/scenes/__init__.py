"""Draws street scenes: photo and label together, in perspective, so that both agree to the pixel.

World coordinates are metres: x to the right of the camera, y up from the ground, z ahead. Everything is drawn far to
near at twice the final size; the photo is then averaged down, which softens its edges, and the label sampled.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.scenes.painter import Painter
from segray.data.scenes.street import SHADOW, Street, backdrop, draw_ground, draw_sky, roadsides, traffic
from segray.data.scenes.things import draw_bonnet


def draw_scene(rng: Generator, size_px: SizePx) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a street scene.

    Args:
        rng: Source of all random choices; two generators in the same state draw the same scene.
        size_px: (height, width); scenes look best at a width of about twice the height.

    Returns:
        Photo of shape (height, width, 3), uint8 RGB, and label of shape (height, width), uint8 Cityscapes label ids.
    """
    painter = Painter(rng, size_px)
    street = Street.random(rng)
    draw_sky(painter)
    draw_ground(painter, street)
    things = [*backdrop(painter), *roadsides(painter, street), *traffic(painter, street)]
    for thing in things:
        if thing.shadow is not None:
            painter.fill(thing.shadow, SHADOW)
    for thing in sorted(things, key=lambda thing: -thing.z):
        thing.draw()
    if rng.random() < 0.35:
        draw_bonnet(painter)
    return painter.develop()
