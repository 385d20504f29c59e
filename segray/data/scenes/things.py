"""Draws trees, lamps, signs, bins, cars and people at a place (x, z) on the ground, and the camera car's bonnet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from segray.data.scenes.painter import LABEL_ID, Painter
from segray.data.scenes.shapes import (
    CIRCLE,
    CLOTHES,
    PAINTS,
    Rgb,
    along,
    disc,
    jittered,
    pick,
    regular,
    scaled,
    shrunk,
    upright,
)

_SKIN: Final[tuple[Rgb, ...]] = ((240, 204, 178), (214, 168, 136), (166, 116, 84), (104, 70, 52))
_LEAVES: Final[tuple[Rgb, ...]] = ((62, 104, 44), (88, 124, 50), (46, 84, 46), (112, 130, 54), (146, 120, 48))


def draw_tree(painter: Painter, x: float, z: float, height: float) -> None:
    """Draw a trunk and a crown of overlapping puffs, all of class vegetation."""
    rng = painter.rng
    crown, leaf = height * rng.uniform(0.26, 0.36), jittered(rng, pick(rng, _LEAVES), 12)
    trunk = 0.03 * height
    painter.fill(upright(x - trunk, x + trunk, 0, height - crown, z), (92, 74, 58), "vegetation")
    num_puffs = 11 if z < 35 else 6
    angles, radii = rng.uniform(0, 2 * np.pi, num_puffs), np.sqrt(rng.random(num_puffs)) * crown * 0.75
    puffs = np.stack([radii * np.cos(angles), radii * np.sin(angles) * 0.9], -1)
    for u, v in puffs[np.argsort(puffs[:, 1])]:
        shade = 0.8 + 0.3 * (v / crown) + 0.12 * painter.sunny_side * u / crown + rng.uniform(-0.08, 0.08)
        painter.fill(disc(x + u, height - crown + v, z, crown * rng.uniform(0.4, 0.62)), leaf, "vegetation", shade)


def draw_lamp(painter: Painter, x: float, z: float, side: int) -> None:
    """Draw a street lamp whose arm reaches over the road."""
    rng = painter.rng
    height, radius = rng.uniform(5, 7.5), rng.uniform(0.12, 0.17)
    metal = pick(rng, ((46, 66, 58), (40, 42, 48), (186, 190, 194)))
    painter.fill(upright(x - radius, x + radius, 0, height, z), metal, "pole")
    sunlit = x + painter.sunny_side * radius
    painter.fill(upright(sunlit, sunlit - painter.sunny_side * radius * 0.7, 0, height, z), scaled(metal, 1.5))
    painter.fill(upright(x - radius * 1.7, x + radius * 1.7, 0, 0.7, z), metal, "pole")
    if rng.random() < 0.5:
        bands = [upright(x - radius, x + radius, y, y + 0.14, z) for y in (1.5, 1.9)]
        painter.fill(bands, (238, 232, 220))
    tip = x - side * rng.uniform(1.0, 2.0)
    painter.fill(upright(x, tip, height - 0.1, height + 0.08, z), metal, "pole")
    painter.fill(upright(tip - 0.35, tip + 0.35, height - 0.16, height + 0.08, z), (208, 206, 190), "pole")


def draw_sign(painter: Painter, x: float, z: float) -> None:
    """Draw a traffic sign of one of six kinds on a pole."""
    rng = painter.rng
    radius, height = rng.uniform(0.4, 0.55), rng.uniform(2.2, 2.8)
    painter.fill(upright(x - 0.09, x + 0.09, 0, height, z), (176, 178, 180), "pole")
    red, white, blue, yellow, dark = (198, 30, 36), (240, 240, 236), (28, 82, 168), (240, 196, 40), (30, 30, 32)
    plates: Sequence[tuple[int, float, Rgb, Rgb, Rgb]] = (
        (3, np.pi / 2, red, white, dark), (14, 0.0, red, white, dark), (14, 0.0, white, blue, white),
        (4, 0.0, white, yellow, dark), (4, np.pi / 4, white, blue, white), (8, np.pi / 8, white, red, white),
    )  # fmt: skip
    corners, turn, rim, field, glyph = plates[int(rng.integers(len(plates)))]
    outline = regular(corners, turn, x, height, z)
    painter.fill(outline(radius), rim, "traffic sign")
    painter.fill(outline(radius * 0.78), field, "traffic sign")
    painter.fill(upright(x - 0.3 * radius, x + 0.3 * radius, height - 0.13, height + 0.1, z), glyph, "traffic sign")
    if rng.random() < 0.3:
        plate = upright(x - radius * 0.8, x + radius * 0.8, height - radius - 0.45, height - radius - 0.1, z)
        painter.fill(plate, white, "traffic sign")


def draw_bin(painter: Painter, x: float, z: float) -> None:
    """Draw a litter bin, which is void."""
    color = pick(painter.rng, ((52, 92, 60), (60, 64, 70), (150, 110, 40)))
    painter.fill(upright(x - 0.35, x + 0.35, 0, 1.0, z), color, "static")
    painter.fill(upright(x - 0.4, x + 0.4, 1.0, 1.12, z), scaled(color, 0.7), "static")


def draw_bonnet(painter: Painter) -> None:
    """Draw the bonnet of the car that carries the camera, which is void."""
    rise = painter.height * painter.rng.uniform(0.05, 0.1)
    center = (painter.width // 2, painter.height + int(rise))
    color = painter.lit(pick(painter.rng, PAINTS), 1.0, 0.6)
    for axes, shown in (((0.62, 2.0), color), ((0.5, 1.7), tuple(min(c * 1.35 + 12, 255) for c in color))):
        size = (int(painter.width * axes[0]), int(rise * axes[1]))
        cv2.ellipse(painter.photo, center, size, 0, 0, 360, shown, -1)
    cv2.ellipse(
        painter.label, center, (int(painter.width * 0.62), int(rise * 2.0)), 0, 0, 360, LABEL_ID["ego vehicle"], -1
    )


def draw_car(painter: Painter, x: float, z: float, from_behind: bool) -> None:
    """Draw a car from behind or from the front, with the side towards the camera."""
    rng = painter.rng
    paint = jittered(rng, pick(rng, PAINTS), 10)
    half, length, waist, roof = (
        rng.uniform(0.84, 0.96),
        rng.uniform(3.7, 4.6),
        rng.uniform(0.9, 1.02),
        rng.uniform(1.4, 1.75),
    )
    # Of its two sides, only the one towards the line of sight is visible.
    side = -1 if x + painter.bend * z * z > 0 else 1
    flank, shade = x + side * half, painter.side_shade(side)
    glass: Rgb = (44, 52, 62)
    painter.fill(along(flank, 0.32, waist, z, z + length), paint, "car", shade * 0.92)
    sill, eave = flank - side * 0.02, flank - side * 0.16
    cabin = [
        (sill, waist, z + 0.25),
        (sill, waist, z + length - 0.9),
        (eave, roof, z + length - 1.7),
        (eave, roof, z + 0.75),
    ]
    painter.fill(cabin, paint, "car", shade * 0.85)
    painter.fill(shrunk(cabin, 0.8), glass, "car", shade)
    for offset in (0.75, length - 0.8):
        wheel = CIRCLE[:, [2, 1, 0]] * 0.33 + (flank, 0.33, z + offset)
        painter.fill(wheel, (26, 26, 28), "car")
        painter.fill(shrunk(wheel, 0.5), (140, 142, 146), "car")
    for u in (-1, 1):
        painter.fill(upright(x + u * (half - 0.04), x + u * (half - 0.26), 0.0, 0.35, z), (24, 24, 26), "car")
    painter.fill(upright(x - half, x + half, 0.28, waist, z), paint, "car")
    rear = [
        (x - half * 0.94, waist, z),
        (x + half * 0.94, waist, z),
        (x + half * 0.76, roof, z + 0.5),
        (x - half * 0.76, roof, z + 0.5),
    ]
    painter.fill(rear, paint, "car", 1.06)
    painter.fill(shrunk(rear, 0.8), glass, "car", 1.1)
    painter.fill(upright(x - half, x + half, 0.28, 0.42, z), (40, 40, 42), "car")
    lamp = (206, 26, 28) if from_behind else (250, 246, 214)
    for u in (-1, 1):
        painter.fill(upright(x + u * half * 0.62, x + u * half * 0.95, 0.62, 0.8, z), lamp, "car")
    painter.fill(upright(x - 0.26, x + 0.26, 0.46, 0.58, z), (234, 234, 226), "car")


def draw_person(painter: Painter, x: float, z: float) -> None:
    """Draw a person who stands or walks."""
    rng = painter.rng
    height, stride, lean = rng.uniform(1.5, 1.92), rng.uniform(0.02, 0.26), rng.uniform(-0.05, 0.05)
    width = rng.uniform(0.21, 0.29)
    coat, trousers, skin = jittered(rng, pick(rng, CLOTHES), 12), pick(rng, CLOTHES), pick(rng, _SKIN)
    hip, shoulder, chin = 0.48 * height, 0.83 * height, 0.86 * height
    for step, shade in ((-stride, 0.8), (stride, 1.0)):
        leg = [
            (x - 0.12 + step / 4, hip, z),
            (x + 0.12 + step / 4, hip, z),
            (x + 0.08 + step, 0, z),
            (x - 0.09 + step, 0, z),
        ]
        painter.fill(leg, trousers, "person", shade)
    for u in (-1, 1):
        swing = x + u * (width + 0.07) - u * stride / 3
        arm = [
            (x + u * width + lean, shoulder, z),
            (x + u * (width - 0.1) + lean, shoulder, z),
            (swing - 0.06, hip, z),
            (swing + 0.06, hip, z),
        ]
        painter.fill(arm, coat, "person", 0.85)
    hem = hip - rng.choice([0.02, 0.12, 0.3])
    torso = [
        (x - width + lean, shoulder, z),
        (x + width + lean, shoulder, z),
        (x + width * 0.8, hem, z),
        (x - width * 0.8, hem, z),
    ]
    painter.fill(torso, coat, "person")
    painter.fill(disc(x + lean, shoulder, z, width * 0.75, 0.06), coat, "person")
    painter.fill(disc(x + lean, chin + 0.075 * height * 0.9, z, 0.105, 0.135), skin, "person")
    hair = pick(rng, ((36, 28, 24), (92, 62, 38), (180, 148, 92), (120, 118, 116)))
    painter.fill(disc(x + lean, chin + 0.105 * height, z, 0.115, 0.08), hair, "person")
    if rng.random() < 0.35:
        u = rng.choice([-1, 1])
        bag = upright(x + u * width, x + u * (width + 0.2), hip - 0.25, hip + 0.12, z)
        painter.fill(bag, pick(rng, CLOTHES), "person")
