"""Draws street scenes: photo and label together, in perspective, so that both agree to the pixel.

World coordinates are metres: x to the right of the camera, y up from the ground, z ahead. Everything is drawn far to
near at twice the final size; the photo is then averaged down, which softens its edges, and the label sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from segray.config import SizePx
from segray.data.datasets.cityscapes import LABELS

_ID: Final = {name: label_id for label_id, name, _, _ in LABELS}
_SUPERSAMPLING: Final = 2
_SUBPIXEL_BITS: Final = 4
_NEAREST_Z: Final = 1.2
_FARTHEST_Z: Final = 150.0
_TURNS: Final = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_CIRCLE: Final = np.stack([np.cos(_TURNS), np.sin(_TURNS), np.zeros(14)], axis=-1)
"""Corners of a unit circle that faces the camera, shape (14, 3)."""

Rgb = tuple[float, float, float]

_BRICKS: Final[tuple[Rgb, ...]] = (
    (150, 96, 78), (186, 150, 118), (205, 190, 160), (168, 168, 172), (214, 206, 196), (122, 104, 98), (190, 122, 92),
    (136, 148, 158), (222, 200, 150),
)  # fmt: skip
_PAINTS: Final[tuple[Rgb, ...]] = (
    (190, 30, 34), (32, 62, 128), (235, 235, 238), (30, 32, 36), (150, 154, 160), (88, 92, 98), (36, 92, 66),
    (206, 168, 60), (98, 28, 42), (120, 160, 196),
)  # fmt: skip
_CLOTHES: Final[tuple[Rgb, ...]] = (
    (34, 38, 60), (176, 36, 44), (226, 222, 212), (40, 96, 70), (58, 96, 160), (90, 70, 56), (222, 168, 48),
    (24, 24, 26), (146, 80, 130), (110, 112, 118),
)  # fmt: skip
_SKIN: Final[tuple[Rgb, ...]] = ((240, 204, 178), (214, 168, 136), (166, 116, 84), (104, 70, 52))
_LEAVES: Final[tuple[Rgb, ...]] = ((62, 104, 44), (88, 124, 50), (46, 84, 46), (112, 130, 54), (146, 120, 48))


@dataclass(frozen=True)
class _Weather:
    """Light and air: what tints, brightens and hides things."""

    zenith: Rgb
    horizon: Rgb
    tint: Rgb
    visibility: float
    """Distance in metres at which two thirds of a colour have faded into the horizon's"""
    clouds: float
    contrast: float
    """How much darker the side away from the sun is, 0 to 1"""
    lit_windows: float


_WEATHERS: Final[tuple[_Weather, ...]] = (
    _Weather((86, 146, 222), (196, 216, 234), (1.06, 1.04, 0.98), 260, 0.5, 0.38, 0.0),
    _Weather((120, 170, 226), (220, 226, 228), (1.0, 0.99, 0.96), 200, 0.9, 0.25, 0.02),
    _Weather((172, 180, 190), (206, 210, 214), (0.84, 0.86, 0.9), 130, 0.3, 0.08, 0.08),
    _Weather((84, 98, 150), (242, 186, 128), (0.92, 0.76, 0.64), 180, 0.7, 0.35, 0.45),
    _Weather((186, 190, 194), (200, 203, 206), (0.86, 0.87, 0.88), 80, 0.0, 0.05, 0.15),
)


def draw_scene(rng: Generator, size_px: SizePx) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One street scene.

    Args:
        rng: Decides all of it; two generators in the same state draw the same scene.
        size_px: (height, width); made for a width of about twice the height.

    Returns:
        Photo of shape (height, width, 3), uint8 RGB, and label of shape (height, width), uint8 Cityscapes label ids.
    """
    painter = _Painter(rng, size_px)
    street = _Street.random(rng)
    _sky(painter)
    _ground(painter, street)
    things = [*_backdrop(painter), *_roadsides(painter, street), *_traffic(painter, street)]
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw()
    if rng.random() < 0.35:
        _bonnet(painter)
    return painter.develop()


Thing = tuple[float, Callable[[], None]]
"""Distance and what draws it."""


@dataclass(frozen=True)
class _Street:
    """Cross-section of the street: distances from its middle in metres; the camera drives right of the middle."""

    middle: float
    kerb: float
    front: float
    """Where pavements end and buildings begin"""
    lanes: int
    asphalt: Rgb
    paving: Rgb
    grass: Rgb

    @classmethod
    def random(cls, rng: Generator) -> _Street:
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


class _Painter:
    """Photo and label under one camera and one light."""

    def __init__(self, rng: Generator, size_px: SizePx) -> None:
        self.rng = rng
        self.height, self.width = size_px[0] * _SUPERSAMPLING, size_px[1] * _SUPERSAMPLING
        self.photo: NDArray[np.uint8] = np.zeros((self.height, self.width, 3), np.uint8)
        self.label: NDArray[np.uint8] = np.zeros((self.height, self.width), np.uint8)
        self.weather = _WEATHERS[int(rng.integers(len(_WEATHERS)))]
        self.exposure = rng.uniform(0.82, 1.12)
        self.sunny_side = rng.choice([-1, 1])
        self.focal = self.width * rng.uniform(0.85, 1.05)
        self.center_x = self.width * rng.uniform(0.4, 0.6)
        self.horizon = self.height * rng.uniform(0.42, 0.52)
        self.camera_height = rng.uniform(1.3, 1.8)
        self.bend = rng.normal(0, 0.0012)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """World points (..., 3) -> pixels (..., 2) in fixed point; the street bends with the square of the distance."""
        z = np.maximum(points[..., 2], _NEAREST_Z)
        pixels = np.empty((*z.shape, 2))
        pixels[..., 0] = self.center_x + self.focal * (points[..., 0] / z + self.bend * z)
        pixels[..., 1] = self.horizon + self.focal * (self.camera_height - points[..., 1]) / z
        fixed: NDArray[np.int32] = np.rint(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
        return fixed

    def fill(self, faces: ArrayLike, color: Rgb, label: str | None = None, shade: float = 1.0) -> None:
        """Fill convex faces (num_faces, num_corners, 3) or one face; without a label they only change the photo."""
        faces = np.asarray(faces, float)
        faces = faces[None] if faces.ndim == 2 else faces
        lit = self.lit(color, float(faces[..., 2].mean()), shade)
        for corners in self.project(faces):
            cv2.fillConvexPoly(self.photo, corners, lit, shift=_SUBPIXEL_BITS)
            if label:
                cv2.fillConvexPoly(self.label, corners, _ID[label], shift=_SUBPIXEL_BITS)

    def lit(self, color: Rgb, z: float, shade: float = 1.0) -> Rgb:
        """The colour under this light, faded by the air in between."""
        clear = float(np.exp(-z / self.weather.visibility))
        red, green, blue = (
            clear * self.exposure * shade * tint * channel + (1 - clear) * faded
            for channel, tint, faded in zip(color, self.weather.tint, self.weather.horizon, strict=True)
        )
        return red, green, blue

    def side_shade(self, side: int) -> float:
        """Brightness of a face that looks towards the given side (-1 left, 1 right)."""
        return 1.0 if side == self.sunny_side else 1.0 - self.weather.contrast

    def develop(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Texture by material, vignette, sensor noise; then the final size."""
        size = (self.width // _SUPERSAMPLING, self.height // _SUPERSAMPLING)
        label = np.ascontiguousarray(self.label[1::_SUPERSAMPLING, 1::_SUPERSAMPLING])
        photo = cv2.resize(self.photo, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        clarity = np.float32(min(self.weather.visibility / 180, 1.0))
        photo *= 1 + clarity * _ROUGHNESS[label] * _blotches(self.rng, label.shape)[..., None]
        gain = np.float32(self.rng.uniform(0.94, 1.06, 3))
        noise = self.rng.standard_normal(photo.shape, np.float32) * np.float32(self.rng.uniform(1.5, 4.0))
        return np.clip(photo * gain * _vignette(label.shape) + noise, 0, 255).astype(np.uint8), label


def _roughness() -> NDArray[np.float32]:
    """Contrast of the texture by label id, shape (256, 1)."""
    table = np.full((256, 1), 0.05, np.float32)
    for name, value in {"vegetation": 0.3, "terrain": 0.16, "building": 0.07, "sky": 0.0, "sidewalk": 0.07}.items():
        table[_ID[name]] = value
    return table


_ROUGHNESS: Final = _roughness()


def _blotches(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Smooth noise of two scales, about -1 to 1."""
    height, width = shape
    total = np.zeros((height, width), np.float32)
    for cells, weight in ((48, 0.5), (120, 0.5)):
        coarse = rng.standard_normal((max(cells * height // width, 2), cells), np.float32)
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return total


def _vignette(shape: tuple[int, ...]) -> NDArray[np.float32]:
    height, width = shape
    rows, columns = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    return (1.03 - 0.09 * (rows[:, None] ** 2 + columns[None] ** 2))[..., None]


# --- what stands still ---------------------------------------------------------------------------------------------


def _sky(painter: _Painter) -> None:
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
    painter.label[:] = _ID["sky"]


def _ground(painter: _Painter, street: _Street) -> None:
    rng, middle = painter.rng, street.middle
    strips = np.geomspace(_NEAREST_Z, _FARTHEST_Z, 13)
    _lay(painter, strips, -400, 400, street.grass, "terrain")
    for side in (-1, 1):
        inner, outer = sorted((middle + side * street.kerb, middle + side * street.front))
        _lay(painter, strips, inner, outer, street.paving, "sidewalk")
        kerb = middle + side * street.kerb
        _lay(painter, strips, kerb - 0.12, kerb + 0.12, _scaled(street.paving, 0.8), "sidewalk")
    _lay(painter, strips, middle - street.kerb, middle + street.kerb, street.asphalt, "road")
    if painter.weather.contrast > 0.2:
        _building_shadow(painter, street)
    paint = (224, 222, 214)
    dashes = np.arange(rng.uniform(2, 6), 70, 6.0)
    for lane in range(1, street.lanes):
        x = middle + (2 * lane / street.lanes - 1) * street.kerb
        painter.fill([_flat(x - 0.09, x + 0.09, z, z + 3) for z in dashes], paint)
    for side in (-1, 1):
        x = middle + side * (street.kerb - 0.35)
        _lay(painter, strips, x - 0.06, x + 0.06, paint, None)
    if rng.random() < 0.3:
        z = rng.uniform(8, 18)
        stripes = np.arange(middle - street.kerb + 0.5, middle + street.kerb - 0.5, 1.0)
        painter.fill([_flat(x, x + 0.5, z, z + 3) for x in stripes], paint)


def _lay(
    painter: _Painter, strips: NDArray[np.float64], left: float, right: float, color: Rgb, label: str | None
) -> None:
    """A band of ground along the street, in strips that follow its bend and fade one by one."""
    for near, far in zip(strips[-2::-1], strips[:0:-1], strict=True):
        painter.fill(_flat(left, right, near, far), color, label)


def _building_shadow(painter: _Painter, street: _Street) -> None:
    side = -painter.sunny_side
    edge = street.middle + side * street.kerb * painter.rng.uniform(-0.2, 0.9)
    outer = street.middle + side * (street.front + 30)
    strips = np.geomspace(_NEAREST_Z, _FARTHEST_Z, 13)
    mask = np.zeros_like(painter.label)
    for near, far in pairwise(strips):
        cv2.fillConvexPoly(mask, painter.project(_flat(edge, outer, near, far)), 1, shift=_SUBPIXEL_BITS)
    cv2.copyTo(cv2.convertScaleAbs(painter.photo, alpha=1 - painter.weather.contrast), mask, painter.photo)


def _backdrop(painter: _Painter) -> list[Thing]:
    """What closes the street: a skyline or a wood."""
    rng = painter.rng
    xs = np.arange(-110, 110, 9.0)
    things: list[Thing] = []
    woods = rng.random() < 0.4
    for x in xs:
        z = _FARTHEST_Z - rng.uniform(0, 20)
        if woods:
            things.append((z, _bind(_tree, painter, x, z, rng.uniform(7, 13))))
        else:
            color = _pick(rng, _BRICKS)
            wall = _upright(x, x + 10, 0, rng.uniform(7, 24), z)
            things.append((z, _bind(painter.fill, wall, color, "building", 0.85)))
    return things


def _roadsides(painter: _Painter, street: _Street) -> list[Thing]:
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
                    things.append((z + offset, _bind(_tree, painter, place, z + offset, rng.uniform(4, 9))))
            else:
                building = _Building.random(rng, side, x, z, z + length)
                # Its far end decides: what stands beside it on the pavement is drawn later.
                things.append((z + length, _bind(_draw_building, painter, building)))
            z += length + (rng.uniform(2, 6) if rng.random() < 0.35 else 0.0)
        things += _furniture(painter, street, side)
    return things


def _furniture(painter: _Painter, street: _Street, side: int) -> list[Thing]:
    """Lamps, signs, trees and bins along one kerb."""
    rng = painter.rng
    things: list[Thing] = []
    spacing, z = rng.uniform(9, 15), rng.uniform(5, 12)
    while z < 45:
        x = street.middle + side * (street.kerb + rng.uniform(0.35, 0.7))
        things.append((z, _bind(_lamp, painter, x, z, side)))
        z += spacing
    for z in rng.uniform(5.5, 26, int(rng.integers(1, 4))):
        x = street.middle + side * (street.kerb + rng.uniform(0.3, 0.9))
        things.append((z, _bind(_sign, painter, x, z)))
    for z in rng.uniform(9, 60, int(rng.integers(0, 4))):
        x = street.middle + side * (street.kerb + rng.uniform(1.0, 1.6))
        things.append((z, _bind(_tree, painter, x, z, rng.uniform(3.5, 6.5))))
    if rng.random() < 0.35:
        z = rng.uniform(7, 16)
        x = street.middle + side * (street.front - 0.6)
        things.append((z, _bind(_bin, painter, x, z)))
    return things


@dataclass(frozen=True)
class _Building:
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
    def random(cls, rng: Generator, side: int, x: float, near: float, far: float) -> _Building:
        storey = rng.uniform(2.8, 3.4)
        num_storeys = int(rng.integers(2, 7))
        wall = _jittered(rng, _pick(rng, _BRICKS), 14)
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
            trim=_scaled(wall, rng.uniform(0.7, 1.25)),
            shop=_jittered(rng, _pick(rng, _CLOTHES), 20) if rng.random() < 0.45 else None,
            roof=_pick(rng, ((142, 66, 50), (84, 78, 80), (110, 84, 70))) if pitched else None,
        )


def _draw_building(painter: _Painter, building: _Building) -> None:
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
    painter.fill(_upright(b.x, depth, 0, b.height, b.near), b.wall, "building", end_shade)
    # In pieces, each faded by its own distance and following the bend.
    edges = np.linspace(b.near, b.far, 4)
    for near, far in zip(edges[-2::-1], edges[:0:-1], strict=True):
        painter.fill(_along(b.x, 0, b.height, near, far), b.wall, "building", shade)
        ledges = [_along(b.x, y - 0.12, y + 0.06, near, far) for y in np.arange(b.storey, b.height, b.storey)]
        painter.fill(ledges, b.trim, None, shade)
    if b.near > 60:
        return
    _windows(painter, b, shade)
    if b.shop:
        painter.fill(_along(b.x, 2.5, 3.1, b.near + 0.3, b.far - 0.3), b.shop, None, shade)


def _windows(painter: _Painter, building: _Building, shade: float) -> None:
    b, rng = building, painter.rng
    glass: Rgb = (58, 70, 84)
    ends = []
    for floor, y in enumerate(np.arange(0, b.height - 1.5, b.storey)):
        bottom, top = (0.35, 2.35) if floor == 0 and b.shop else (y + 0.9, y + b.storey - 0.55)
        share = 0.85 if floor == 0 and b.shop else b.window
        gap = b.bay * (1 - share) / 2
        starts = np.arange(b.near + 0.4, b.far - b.bay, b.bay)
        glow = rng.random(len(starts)) < painter.weather.lit_windows
        for lit_up, color in ((False, _jittered(rng, glass, 16)), (True, (250, 214, 140))):
            chosen = starts[glow == lit_up]
            if len(chosen):
                panes = [_along(b.x, bottom, top, z + gap, z + b.bay - gap) for z in chosen]
                painter.fill(panes, color, None, 1.0 if lit_up else shade)
        ends += [
            _upright(b.x + b.side * (u + gap), b.x + b.side * (u + b.bay - gap), bottom, top, b.near)
            for u in np.arange(0.6, 10 - b.bay, b.bay)
        ]
    painter.fill(ends, glass, None, 0.9)


def _tree(painter: _Painter, x: float, z: float, height: float) -> None:
    rng = painter.rng
    crown, leaf = height * rng.uniform(0.26, 0.36), _jittered(rng, _pick(rng, _LEAVES), 12)
    trunk = 0.03 * height
    painter.fill(_ground_disc(x, z, crown * 0.8), (58, 58, 56)) if z < 40 else None
    painter.fill(_upright(x - trunk, x + trunk, 0, height - crown, z), (92, 74, 58), "vegetation")
    num_puffs = 11 if z < 35 else 6
    angles, radii = rng.uniform(0, 2 * np.pi, num_puffs), np.sqrt(rng.random(num_puffs)) * crown * 0.75
    puffs = np.stack([radii * np.cos(angles), radii * np.sin(angles) * 0.9], -1)
    for u, v in puffs[np.argsort(puffs[:, 1])]:
        shade = 0.8 + 0.3 * (v / crown) + 0.12 * painter.sunny_side * u / crown + rng.uniform(-0.08, 0.08)
        painter.fill(_disc(x + u, height - crown + v, z, crown * rng.uniform(0.4, 0.62)), leaf, "vegetation", shade)


def _lamp(painter: _Painter, x: float, z: float, side: int) -> None:
    rng = painter.rng
    height, radius = rng.uniform(5, 7.5), rng.uniform(0.12, 0.17)
    metal = _pick(rng, ((46, 66, 58), (40, 42, 48), (186, 190, 194)))
    painter.fill(_upright(x - radius, x + radius, 0, height, z), metal, "pole")
    sunlit = x + painter.sunny_side * radius
    painter.fill(_upright(sunlit, sunlit - painter.sunny_side * radius * 0.7, 0, height, z), _scaled(metal, 1.5))
    painter.fill(_upright(x - radius * 1.7, x + radius * 1.7, 0, 0.7, z), metal, "pole")
    if rng.random() < 0.5:
        bands = [_upright(x - radius, x + radius, y, y + 0.14, z) for y in (1.5, 1.9)]
        painter.fill(bands, (238, 232, 220))
    tip = x - side * rng.uniform(1.0, 2.0)
    painter.fill(_upright(x, tip, height - 0.1, height + 0.08, z), metal, "pole")
    painter.fill(_upright(tip - 0.35, tip + 0.35, height - 0.16, height + 0.08, z), (208, 206, 190), "pole")


def _sign(painter: _Painter, x: float, z: float) -> None:
    rng = painter.rng
    radius, height = rng.uniform(0.4, 0.55), rng.uniform(2.2, 2.8)
    painter.fill(_upright(x - 0.09, x + 0.09, 0, height, z), (176, 178, 180), "pole")
    red, white, blue, yellow, dark = (198, 30, 36), (240, 240, 236), (28, 82, 168), (240, 196, 40), (30, 30, 32)
    plates: Sequence[tuple[int, float, Rgb, Rgb, Rgb]] = (
        (3, np.pi / 2, red, white, dark), (14, 0.0, red, white, dark), (14, 0.0, white, blue, white),
        (4, 0.0, white, yellow, dark), (4, np.pi / 4, white, blue, white), (8, np.pi / 8, white, red, white),
    )  # fmt: skip
    corners, turn, rim, field, glyph = plates[int(rng.integers(len(plates)))]
    outline = _regular(corners, turn, x, height, z)
    painter.fill(outline(radius), rim, "traffic sign")
    painter.fill(outline(radius * 0.78), field, "traffic sign")
    painter.fill(_upright(x - 0.3 * radius, x + 0.3 * radius, height - 0.13, height + 0.1, z), glyph, "traffic sign")
    if rng.random() < 0.3:
        plate = _upright(x - radius * 0.8, x + radius * 0.8, height - radius - 0.45, height - radius - 0.1, z)
        painter.fill(plate, white, "traffic sign")


def _bin(painter: _Painter, x: float, z: float) -> None:
    color = _pick(painter.rng, ((52, 92, 60), (60, 64, 70), (150, 110, 40)))
    painter.fill(_upright(x - 0.35, x + 0.35, 0, 1.0, z), color, "static")
    painter.fill(_upright(x - 0.4, x + 0.4, 1.0, 1.12, z), _scaled(color, 0.7), "static")


def _bonnet(painter: _Painter) -> None:
    rise = painter.height * painter.rng.uniform(0.05, 0.1)
    center = (painter.width // 2, painter.height + int(rise))
    color = painter.lit(_pick(painter.rng, _PAINTS), 1.0, 0.6)
    for axes, shown in (((0.62, 2.0), color), ((0.5, 1.7), tuple(min(c * 1.35 + 12, 255) for c in color))):
        size = (int(painter.width * axes[0]), int(rise * axes[1]))
        cv2.ellipse(painter.photo, center, size, 0, 0, 360, shown, -1)
    cv2.ellipse(painter.label, center, (int(painter.width * 0.62), int(rise * 2.0)), 0, 0, 360, _ID["ego vehicle"], -1)


# --- what moves ----------------------------------------------------------------------------------------------------


def _traffic(painter: _Painter, street: _Street) -> list[Thing]:
    rng, middle = painter.rng, street.middle
    things: list[Thing] = []
    for side in (-1, 1):
        z = rng.uniform(6, 22)
        parked = rng.random() < 0.6
        while parked and z < 60:
            x = middle + side * (street.kerb - 0.7)
            things.append((z, _bind(_car, painter, x, z, side > 0)))
            z += rng.uniform(5.2, 13)
    for z in rng.uniform(9, 50, int(rng.integers(1, 4))):
        side = rng.choice([-1, 1])
        x = middle + side * street.kerb * rng.uniform(0.25, 0.45)
        things.append((z, _bind(_car, painter, x, z, side > 0)))
    for z in rng.uniform(4.5, 17, int(rng.integers(4, 9))):
        side = rng.choice([-1, 1])
        x = middle + side * rng.uniform(street.kerb + 0.5, street.front - 0.3)
        things.append((z, _bind(_person, painter, x, z)))
    if rng.random() < 0.35:
        z = rng.uniform(8, 18)
        things.append((z, _bind(_person, painter, middle + rng.uniform(-0.8, 0.8) * street.kerb, z)))
    return things


def _car(painter: _Painter, x: float, z: float, from_behind: bool) -> None:
    rng = painter.rng
    paint = _jittered(rng, _pick(rng, _PAINTS), 10)
    half, length, waist, roof = (
        rng.uniform(0.84, 0.96),
        rng.uniform(3.7, 4.6),
        rng.uniform(0.9, 1.02),
        rng.uniform(1.4, 1.75),
    )
    # The side towards the line of sight is seen.
    side = -1 if x + painter.bend * z * z > 0 else 1
    flank, shade = x + side * half, painter.side_shade(side)
    glass: Rgb = (44, 52, 62)
    painter.fill(_flat(x - half - 0.25, x + half + 0.25, z - 0.3, z + length), (34, 34, 36))
    painter.fill(_along(flank, 0.32, waist, z, z + length), paint, "car", shade * 0.92)
    tops = ((waist, 0.25, length - 0.9, 0.02), (roof, 0.75, length - 1.7, 0.16))
    cabin = [
        (flank - side * inset, y, z + offset)
        for (y, start, end, inset), ends in zip(tops, ((0, 1), (1, 0)), strict=True)
        for offset in ((start, end)[ends[0]], (start, end)[ends[1]])
    ]
    painter.fill(cabin, paint, "car", shade * 0.85)
    painter.fill(_shrunk(cabin, 0.8), glass, "car", shade)
    for offset in (0.75, length - 0.8):
        wheel = _CIRCLE[:, [2, 1, 0]] * 0.33 + (flank, 0.33, z + offset)
        painter.fill(wheel, (26, 26, 28), "car")
        painter.fill(_shrunk(wheel, 0.5), (140, 142, 146), "car")
    for u in (-1, 1):
        painter.fill(_upright(x + u * (half - 0.04), x + u * (half - 0.26), 0.0, 0.35, z), (24, 24, 26), "car")
    painter.fill(_upright(x - half, x + half, 0.28, waist, z), paint, "car")
    rear = [
        (x - half * 0.94, waist, z),
        (x + half * 0.94, waist, z),
        (x + half * 0.76, roof, z + 0.5),
        (x - half * 0.76, roof, z + 0.5),
    ]
    painter.fill(rear, paint, "car", 1.06)
    painter.fill(_shrunk(rear, 0.8), glass, "car", 1.1)
    painter.fill(_upright(x - half, x + half, 0.28, 0.42, z), (40, 40, 42), "car")
    lamp = (206, 26, 28) if from_behind else (250, 246, 214)
    for u in (-1, 1):
        painter.fill(_upright(x + u * half * 0.62, x + u * half * 0.95, 0.62, 0.8, z), lamp, "car")
    painter.fill(_upright(x - 0.26, x + 0.26, 0.46, 0.58, z), (234, 234, 226), "car")


def _person(painter: _Painter, x: float, z: float) -> None:
    rng = painter.rng
    height, stride, lean = rng.uniform(1.5, 1.92), rng.uniform(0.02, 0.26), rng.uniform(-0.05, 0.05)
    width = rng.uniform(0.21, 0.29)
    coat, trousers, skin = _jittered(rng, _pick(rng, _CLOTHES), 12), _pick(rng, _CLOTHES), _pick(rng, _SKIN)
    hip, shoulder, chin = 0.48 * height, 0.83 * height, 0.86 * height
    painter.fill(_ground_disc(x, z, 0.35), (52, 52, 54))
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
    painter.fill(_disc(x + lean, shoulder, z, width * 0.75, 0.06), coat, "person")
    painter.fill(_disc(x + lean, chin + 0.075 * height * 0.9, z, 0.105, 0.135), skin, "person")
    hair = _pick(rng, ((36, 28, 24), (92, 62, 38), (180, 148, 92), (120, 118, 116)))
    painter.fill(_disc(x + lean, chin + 0.105 * height, z, 0.115, 0.08), hair, "person")
    if rng.random() < 0.35:
        u = rng.choice([-1, 1])
        bag = _upright(x + u * width, x + u * (width + 0.2), hip - 0.25, hip + 0.12, z)
        painter.fill(bag, _pick(rng, _CLOTHES), "person")


# --- shapes and colours --------------------------------------------------------------------------------------------


def _flat(left: float, right: float, near: float, far: float) -> NDArray[np.float64]:
    """Rectangle on the ground."""
    return np.array([(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)])


def _upright(left: float, right: float, bottom: float, top: float, z: float) -> NDArray[np.float64]:
    """Rectangle that faces the camera."""
    return np.array([(left, bottom, z), (right, bottom, z), (right, top, z), (left, top, z)])


def _along(x: float, bottom: float, top: float, near: float, far: float) -> NDArray[np.float64]:
    """Upright rectangle that runs along the street."""
    return np.array([(x, bottom, near), (x, bottom, far), (x, top, far), (x, top, near)])


def _disc(x: float, y: float, z: float, radius: float, radius_y: float | None = None) -> NDArray[np.float64]:
    """Disc or ellipse that faces the camera."""
    return _CIRCLE * (radius, radius_y or radius, 0) + (x, y, z)


def _ground_disc(x: float, z: float, radius: float) -> NDArray[np.float64]:
    return _CIRCLE[:, [0, 2, 1]] * radius + (x, 0, z)


def _regular(corners: int, turn: float, x: float, y: float, z: float) -> Callable[[float], NDArray[np.float64]]:
    """Regular polygon that faces the camera, by its radius."""
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    rim = np.stack([np.cos(angles), np.sin(angles), np.zeros(corners)], axis=-1)
    return lambda radius: rim * radius + (x, y, z)


def _shrunk(face: ArrayLike, factor: float) -> NDArray[np.float64]:
    corners = np.asarray(face, float)
    center: NDArray[np.float64] = corners.mean(axis=0)
    return center + factor * (corners - center)


def _pick(rng: Generator, colors: Sequence[Rgb]) -> Rgb:
    return colors[int(rng.integers(len(colors)))]


def _scaled(color: Rgb, factor: float) -> Rgb:
    red, green, blue = color
    return min(red * factor, 255), min(green * factor, 255), min(blue * factor, 255)


def _jittered(rng: Generator, color: Rgb, amount: float) -> Rgb:
    red, green, blue = np.clip(np.array(color) + rng.normal(0, amount / 2, 3), 0, 255).tolist()
    return red, green, blue


def _bind(draw: Callable[..., None], *args: object) -> Callable[[], None]:
    return lambda: draw(*args)
