"""Buildings: a wall along the street with windows, an end wall, and a shop front or a pitched roof."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.random import Generator

from segray.data.scenes.painter import Painter
from segray.data.scenes.shapes import CLOTHES, Rgb, along, jittered, pick, scaled, upright

BRICKS: Final[tuple[Rgb, ...]] = (
    (150, 96, 78), (186, 150, 118), (205, 190, 160), (168, 168, 172), (214, 206, 196), (122, 104, 98), (190, 122, 92),
    (136, 148, 158), (222, 200, 150),
)  # fmt: skip


@dataclass(frozen=True)
class Building:
    """A box beside the street from `near` to `far`; its wall along the street stands at `x`."""

    side: int
    x: float
    near: float
    far: float
    height: float
    storey: float
    bay: float
    window: float
    wall: Rgb
    trim: Rgb
    shop: Rgb | None
    roof: Rgb | None

    @classmethod
    def random(cls, rng: Generator, side: int, x: float, near: float, far: float) -> Building:
        """Make a random building that starts at `near`; `side` is -1 left of the street and 1 right."""
        storey = rng.uniform(2.8, 3.4)
        num_storeys = int(rng.integers(2, 7))
        wall = jittered(rng, pick(rng, BRICKS), 14)
        pitched = num_storeys <= 4 and rng.random() < 0.6
        return cls(
            side=side,
            x=x,
            near=near,
            far=far,
            height=storey * num_storeys + 0.6,
            storey=storey,
            bay=rng.uniform(1.9, 3.2),
            window=rng.uniform(0.4, 0.68),
            wall=wall,
            trim=scaled(wall, rng.uniform(0.7, 1.25)),
            shop=jittered(rng, pick(rng, CLOTHES), 20) if rng.random() < 0.45 else None,
            roof=pick(rng, ((142, 66, 50), (84, 78, 80), (110, 84, 70))) if pitched else None,
        )


def draw_building(painter: Painter, building: Building) -> None:
    """Draw a building, far parts first, each wall in its own light."""
    b, shade = building, painter.side_shade(-building.side)
    depth = b.x + b.side * 10
    end_shade = 1 - painter.weather.contrast / 2
    if b.roof:
        ridge, eaves = (b.x + depth) / 2, b.x - b.side * 0.4
        top = b.height + 3.2
        painter.fill(
            [(b.x, b.height, b.near), (depth, b.height, b.near), (ridge, top, b.near)], b.wall, "building", 0.9
        )
        slope = [(eaves, b.height, b.near), (eaves, b.height, b.far), (ridge, top, b.far), (ridge, top, b.near)]
        painter.fill(slope, b.roof, "building", shade)
    painter.fill(upright(b.x, depth, 0, b.height, b.near), b.wall, "building", end_shade)
    # Walls are drawn in pieces, which fade by their own distances and follow the bend of the street.
    for far, near in pairwise(np.linspace(b.far, b.near, 4)):
        painter.fill(along(b.x, 0, b.height, near, far), b.wall, "building", shade)
        ledges = [along(b.x, y - 0.12, y + 0.06, near, far) for y in np.arange(b.storey, b.height, b.storey)]
        painter.fill(ledges, b.trim, None, shade)
    if b.near > 60:
        return
    _windows(painter, b, shade)
    if b.shop:
        painter.fill(along(b.x, 2.5, 3.1, b.near + 0.3, b.far - 0.3), b.shop, None, shade)


def _windows(painter: Painter, building: Building, shade: float) -> None:
    b, rng = building, painter.rng
    glass: Rgb = (58, 70, 84)
    ends = []
    for floor, y in enumerate(np.arange(0, b.height - 1.5, b.storey)):
        bottom, top = (0.35, 2.35) if floor == 0 and b.shop else (y + 0.9, y + b.storey - 0.55)
        share = 0.85 if floor == 0 and b.shop else b.window
        gap = b.bay * (1 - share) / 2
        starts = np.arange(b.near + 0.4, b.far - b.bay, b.bay)
        glow = rng.random(len(starts)) < painter.weather.lit_windows
        for lit_up, color in ((False, jittered(rng, glass, 16)), (True, (250, 214, 140))):
            chosen = starts[glow == lit_up]
            if len(chosen):
                panes = [along(b.x, bottom, top, z + gap, z + b.bay - gap) for z in chosen]
                painter.fill(panes, color, None, 1.0 if lit_up else shade)
        ends += [
            upright(b.x + b.side * (u + gap), b.x + b.side * (u + b.bay - gap), bottom, top, b.near)
            for u in np.arange(0.6, 10 - b.bay, b.bay)
        ]
    painter.fill(ends, glass, None, 0.9)
