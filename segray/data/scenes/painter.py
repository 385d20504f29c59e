"""The painter, which draws photo and label under one camera and one light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from segray.config import SizePx
from segray.data.datasets.cityscapes import LABELS
from segray.data.scenes.shapes import Rgb

LABEL_ID: Final = {name: label_id for label_id, name, _, _ in LABELS}
NEAREST_Z: Final = 1.2
_SUPERSAMPLING: Final = 2
SUBPIXEL_BITS: Final = 4


@dataclass(frozen=True)
class Weather:
    """The light and the air, which tint, brighten and hide things."""

    zenith: Rgb
    horizon: Rgb
    tint: Rgb
    visibility: float
    """Distance in metres at which two thirds of a colour have faded into the colour of the horizon"""
    clouds: float
    contrast: float
    """Share of brightness that the side away from the sun lacks, 0 to 1"""
    lit_windows: float


_WEATHERS: Final[tuple[Weather, ...]] = (
    Weather((86, 146, 222), (196, 216, 234), (1.06, 1.04, 0.98), 260, 0.5, 0.38, 0.0),
    Weather((120, 170, 226), (220, 226, 228), (1.0, 0.99, 0.96), 200, 0.9, 0.25, 0.02),
    Weather((172, 180, 190), (206, 210, 214), (0.84, 0.86, 0.9), 130, 0.3, 0.08, 0.08),
    Weather((84, 98, 150), (242, 186, 128), (0.92, 0.76, 0.64), 180, 0.7, 0.35, 0.45),
    Weather((186, 190, 194), (200, 203, 206), (0.86, 0.87, 0.88), 80, 0.0, 0.05, 0.15),
)


class Painter:
    """Draws photo and label under one camera and one light."""

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
        """Project world points (..., 3) to pixels (..., 2) in fixed point.

        The street bends with the square of the distance.
        """
        z = np.maximum(points[..., 2], NEAREST_Z)
        pixels = np.empty((*z.shape, 2))
        pixels[..., 0] = self.center_x + self.focal * (points[..., 0] / z + self.bend * z)
        pixels[..., 1] = self.horizon + self.focal * (self.camera_height - points[..., 1]) / z
        fixed: NDArray[np.int32] = np.rint(pixels * 2**SUBPIXEL_BITS).astype(np.int32)
        return fixed

    def fill(self, faces: ArrayLike, color: Rgb, label: str | None = None, shade: float = 1.0) -> None:
        """Fill one convex face or several (num_faces, num_corners, 3); without a label, change only the photo."""
        faces = np.asarray(faces, float)
        faces = faces[None] if faces.ndim == 2 else faces
        lit = self.lit(color, float(faces[..., 2].mean()), shade)
        for corners in self.project(faces):
            cv2.fillConvexPoly(self.photo, corners, lit, shift=SUBPIXEL_BITS)
            if label:
                cv2.fillConvexPoly(self.label, corners, LABEL_ID[label], shift=SUBPIXEL_BITS)

    def lit(self, color: Rgb, z: float, shade: float = 1.0) -> Rgb:
        """Return the colour under this light, faded by the air in between."""
        clear = float(np.exp(-z / self.weather.visibility))
        red, green, blue = (
            clear * self.exposure * shade * tint * channel + (1 - clear) * faded
            for channel, tint, faded in zip(color, self.weather.tint, self.weather.horizon, strict=True)
        )
        return red, green, blue

    def side_shade(self, side: int) -> float:
        """Return the brightness of a face that looks towards a side (-1 left, 1 right)."""
        return 1.0 if side == self.sunny_side else 1.0 - self.weather.contrast

    def develop(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Add texture by material, a vignette and sensor noise, and return photo and label at the final size."""
        size = (self.width // _SUPERSAMPLING, self.height // _SUPERSAMPLING)
        label = np.ascontiguousarray(self.label[1::_SUPERSAMPLING, 1::_SUPERSAMPLING])
        photo = cv2.resize(self.photo, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        clarity = np.float32(min(self.weather.visibility / 180, 1.0))
        photo *= 1 + clarity * _ROUGHNESS[label] * _blotches(self.rng, label.shape)[..., None]
        gain = np.float32(self.rng.uniform(0.94, 1.06, 3))
        noise = self.rng.standard_normal(photo.shape, np.float32) * np.float32(self.rng.uniform(1.5, 4.0))
        return np.clip(photo * gain * _vignette(label.shape) + noise, 0, 255).astype(np.uint8), label


def _roughness() -> NDArray[np.float32]:
    """Return the contrast of the texture by label id, shape (256, 1)."""
    table = np.full((256, 1), 0.05, np.float32)
    for name, value in {"vegetation": 0.3, "terrain": 0.16, "building": 0.07, "sky": 0.0, "sidewalk": 0.07}.items():
        table[LABEL_ID[name]] = value
    return table


_ROUGHNESS: Final = _roughness()


def _blotches(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return smooth noise of two scales, about -1 to 1."""
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
