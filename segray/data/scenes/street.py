"""The street: sky and ground, and the places of everything that stands and moves along the street."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from segray.data.scenes.buildings import BRICKS, Building, draw_building
from segray.data.scenes.painter import LABEL_ID, NEAREST_Z, SUBPIXEL_BITS, Painter
from segray.data.scenes.shapes import Rgb, flat, ground_disc, pick, scaled, upright
from segray.data.scenes.things import draw_bin, draw_car, draw_lamp, draw_person, draw_sign, draw_tree

FARTHEST_Z: Final = 150.0
_STRIPS: Final = np.geomspace(NEAREST_Z, FARTHEST_Z, 13)
SHADOW: Final[Rgb] = (50, 50, 51)


class Thing(NamedTuple):
    """A thing that hides everything behind it."""

    z: float
    draw: Callable[[], None]
    shadow: NDArray[np.float64] | None = None
    """Face on the ground that the thing darkens"""


@dataclass(frozen=True)
class Street:
    """The cross-section of a street: distances from its middle in metres. The camera drives right of the middle."""

    middle: float
    kerb: float
    front: float
    """Distance at which pavements end and buildings begin"""
    lanes: int
    asphalt: Rgb
    paving: Rgb
    grass: Rgb

    @classmethod
    def random(cls, rng: Generator) -> Street:
        """Make a random street of two or three lanes."""
        lanes = int(rng.integers(2, 4))
        kerb = lanes * rng.uniform(1.6, 1.9) + rng.uniform(0.3, 1.2)
        grey, warm = rng.uniform(72, 112), rng.uniform(-5, 8)
        stone = rng.uniform(132, 182)
        return cls(
            middle=-rng.uniform(0.6, 2.2),
            kerb=kerb,
            front=kerb + rng.uniform(2.2, 4.0),
            lanes=lanes,
            asphalt=(grey + warm, grey, grey - warm / 2),
            paving=(stone + rng.uniform(0, 16), stone, stone - rng.uniform(4, 22)),
            grass=(rng.uniform(88, 132), rng.uniform(122, 150), rng.uniform(54, 80)),
        )


def draw_sky(painter: Painter) -> None:
    """Fill everything with sky: a gradient with clouds."""
    weather = painter.weather
    rows = np.clip(np.arange(painter.height) / painter.horizon, 0, 1)[:, None]
    gradient = (1 - rows) * np.array(weather.zenith) + rows * np.array(weather.horizon)
    sky = np.broadcast_to(gradient[:, None], painter.photo.shape).astype(np.float32)
    if weather.clouds:
        coarse = painter.rng.standard_normal((9, 7), np.float32)
        puffs = cv2.resize(coarse, (painter.width, painter.height), interpolation=cv2.INTER_CUBIC)
        cover = weather.clouds * np.clip(puffs - painter.rng.uniform(-0.3, 0.8), 0, 1)[..., None]
        sky += cover * (np.array(weather.horizon, np.float32) * 1.06 - sky)
    painter.photo[:] = np.clip(sky * np.float32(min(painter.exposure, 1.0)), 0, 255)
    painter.label[:] = LABEL_ID["sky"]


def draw_ground(painter: Painter, street: Street) -> None:
    """Draw grass, pavements and road, with the shadow of the buildings and road markings on them."""
    rng, middle = painter.rng, street.middle
    _lay(painter, -400, 400, street.grass, "terrain")
    for side in (-1, 1):
        inner, outer = sorted((middle + side * street.kerb, middle + side * street.front))
        _lay(painter, inner, outer, street.paving, "sidewalk")
        kerb = middle + side * street.kerb
        _lay(painter, kerb - 0.12, kerb + 0.12, scaled(street.paving, 0.8), "sidewalk")
    _lay(painter, middle - street.kerb, middle + street.kerb, street.asphalt, "road")
    if painter.weather.contrast > 0.2:
        _building_shadow(painter, street)
    paint = (224, 222, 214)
    dashes = np.arange(rng.uniform(2, 6), 70, 6.0)
    for lane in range(1, street.lanes):
        x = middle + (2 * lane / street.lanes - 1) * street.kerb
        painter.fill([flat(x - 0.09, x + 0.09, z, z + 3) for z in dashes], paint)
    for side in (-1, 1):
        x = middle + side * (street.kerb - 0.35)
        _lay(painter, x - 0.06, x + 0.06, paint, None)
    if rng.random() < 0.3:
        z = rng.uniform(8, 18)
        stripes = np.arange(middle - street.kerb + 0.5, middle + street.kerb - 0.5, 1.0)
        painter.fill([flat(x, x + 0.5, z, z + 3) for x in stripes], paint)


def _lay(painter: Painter, left: float, right: float, color: Rgb, label: str | None) -> None:
    """Draw a band of ground along the street, in strips that follow its bend and fade one by one."""
    for far, near in pairwise(_STRIPS[::-1]):
        painter.fill(flat(left, right, near, far), color, label)


def _building_shadow(painter: Painter, street: Street) -> None:
    side = -painter.sunny_side
    edge = street.middle + side * street.kerb * painter.rng.uniform(-0.2, 0.9)
    outer = street.middle + side * (street.front + 30)
    mask = np.zeros_like(painter.label)
    for near, far in pairwise(_STRIPS):
        cv2.fillConvexPoly(mask, painter.project(flat(edge, outer, near, far)), 1, shift=SUBPIXEL_BITS)
    cv2.copyTo(cv2.convertScaleAbs(painter.photo, alpha=1 - painter.weather.contrast), mask, painter.photo)


def backdrop(painter: Painter) -> list[Thing]:
    """Return the end of the street: a skyline or a wood."""
    rng = painter.rng
    xs = np.arange(-110, 110, 9.0)
    things: list[Thing] = []
    woods = rng.random() < 0.4
    for x in xs:
        z = FARTHEST_Z - rng.uniform(0, 20)
        if woods:
            things.append(_tree(painter, x, z, rng.uniform(7, 13)))
        else:
            color = pick(rng, BRICKS)
            wall = upright(x, x + 10, 0, rng.uniform(7, 24), z)
            things.append(Thing(z, partial(painter.fill, wall, color, "building", 0.85)))
    return things


def roadsides(painter: Painter, street: Street) -> list[Thing]:
    """Return buildings and parks along both sides, and everything that stands on the pavements."""
    rng = painter.rng
    things: list[Thing] = []
    for side in (-1, 1):
        z = rng.uniform(3, 14)
        green = rng.random() < 0.35
        while z < 110:
            length = rng.uniform(9, 20)
            x = street.middle + side * (street.front + rng.uniform(0, 0.6))
            if rng.random() < (0.75 if green else 0.15):
                num_trees = int(rng.integers(2, 5))
                for offset in rng.uniform(0, length, num_trees):
                    place = x + side * rng.uniform(1.5, 12)
                    things.append(_tree(painter, place, z + offset, rng.uniform(4, 9)))
            else:
                building = Building.random(rng, side, x, z, z + length)
                # The far end of a building decides on the order, so that things on the pavement beside it come later.
                things.append(Thing(z + length, partial(draw_building, painter, building)))
            z += length + (rng.uniform(2, 6) if rng.random() < 0.35 else 0.0)
        things += _furniture(painter, street, side)
    return things


def _furniture(painter: Painter, street: Street, side: int) -> list[Thing]:
    """Return lamps, signs, trees and bins along one kerb."""
    rng = painter.rng
    things: list[Thing] = []
    spacing, z = rng.uniform(9, 15), rng.uniform(5, 12)
    while z < 45:
        x = street.middle + side * (street.kerb + rng.uniform(0.35, 0.7))
        things.append(Thing(z, partial(draw_lamp, painter, x, z, side)))
        z += spacing
    for z in rng.uniform(5.5, 26, int(rng.integers(1, 4))):
        x = street.middle + side * (street.kerb + rng.uniform(0.3, 0.9))
        things.append(Thing(z, partial(draw_sign, painter, x, z)))
    for z in rng.uniform(9, 60, int(rng.integers(0, 4))):
        x = street.middle + side * (street.kerb + rng.uniform(1.0, 1.6))
        things.append(_tree(painter, x, z, rng.uniform(3.5, 6.5)))
    if rng.random() < 0.35:
        z = rng.uniform(7, 16)
        x = street.middle + side * (street.front - 0.6)
        things.append(Thing(z, partial(draw_bin, painter, x, z)))
    return things


def traffic(painter: Painter, street: Street) -> list[Thing]:
    """Return parked and driving cars, and people on the pavements and sometimes on the road."""
    rng, middle = painter.rng, street.middle
    things: list[Thing] = []
    for side in (-1, 1):
        z = rng.uniform(6, 22)
        parked = rng.random() < 0.6
        while parked and z < 60:
            x = middle + side * (street.kerb - 0.7)
            things.append(_car(painter, x, z, side > 0))
            z += rng.uniform(5.2, 13)
    for z in rng.uniform(9, 50, int(rng.integers(1, 4))):
        side = rng.choice([-1, 1])
        x = middle + side * street.kerb * rng.uniform(0.25, 0.45)
        things.append(_car(painter, x, z, side > 0))
    for z in rng.uniform(4.5, 17, int(rng.integers(4, 9))):
        side = rng.choice([-1, 1])
        x = middle + side * rng.uniform(street.kerb + 0.5, street.front - 0.3)
        things.append(_person(painter, x, z))
    if rng.random() < 0.35:
        z = rng.uniform(8, 18)
        things.append(_person(painter, middle + rng.uniform(-0.8, 0.8) * street.kerb, z))
    return things


def _tree(painter: Painter, x: float, z: float, height: float) -> Thing:
    return Thing(z, partial(draw_tree, painter, x, z, height), ground_disc(x, z, height / 4))


def _car(painter: Painter, x: float, z: float, from_behind: bool) -> Thing:
    return Thing(z, partial(draw_car, painter, x, z, from_behind), flat(x - 1.15, x + 1.15, z - 0.3, z + 4.2))


def _person(painter: Painter, x: float, z: float) -> Thing:
    return Thing(z, partial(draw_person, painter, x, z), ground_disc(x, z, 0.35))
