"""Draws weather over a photo: rain, snow, fog and sun flare. Labels stay as they are."""

from __future__ import annotations

import os
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # albumentations reads it when imported; without it, it asks the network

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx

Params = dict[str, Any]
"""Name -> parameter of one call of a transform, among them the photo's shape"""


def weather(size_px: SizePx) -> list[A.BasicTransform]:
    """Return one transform for each kind of weather, for photos of (height, width), uint8 RGB."""
    height, _ = size_px
    return [
        A.RandomRain(
            slant_range=(-15, 15),
            drop_length=max(height // 16, 1),
            drop_color=(150, 155, 160),
            blur_value=3,
            brightness_coefficient=0.85,
            rain_type="default",
        ),
        Snow(),
        Fog(),
        SunFlare(),
    ]


def _blend(img: NDArray[np.uint8], share: NDArray[np.float32], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the photo blended with a colour, by a share of 0 to 1 at each pixel."""
    blended: NDArray[np.float32] = img + (np.array(color, np.float32) - img) * share[..., None]
    return blended.astype(np.uint8)


class Snow(A.ImageOnlyTransform):  # type: ignore[misc]
    """Soft white flakes in front of a paler scene.

    It replaces albumentations' RandomSnow, whose texture overflows uint8 into false colours.
    """

    def apply(self, img: NDArray[np.uint8], flakes: NDArray[np.float32], pale: float, **_: object) -> NDArray[np.uint8]:
        """Return the photo behind flakes, (height, width) from 0 to 1, and moved by the share `pale` towards white."""
        return _blend(img, np.maximum(flakes, np.float32(pale)), (240, 240, 240))

    def get_params_dependent_on_data(self, params: Params, data: Params) -> Params:  # noqa: ARG002
        """Draw flakes, whose size depends on the photo's height, and how pale the scene is."""
        height, width = params["shape"][:2]
        radius = max(height / 160, 0.5)
        num_flakes = int(height * width * self.random_generator.uniform(0.002, 0.008) / radius**2)
        flakes = np.zeros((height, width), np.float32)
        flakes.flat[self.random_generator.integers(0, height * width, num_flakes)] = 1
        # Divided by the peak of the Gaussian, so that the centre of a flake is white.
        flakes = cv2.GaussianBlur(flakes, (0, 0), radius * 0.6) * np.float32(2 * np.pi * (radius * 0.6) ** 2)
        return {"flakes": np.minimum(flakes, 0.9), "pale": self.random_generator.uniform(0.1, 0.35)}


class Fog(A.ImageOnlyTransform):  # type: ignore[misc]
    """A pale veil of uneven density: the light of the scene and of the air add up, as in Koschmieder's law.

    It replaces albumentations' RandomFog, which draws hundreds of discs, each over the whole photo, and takes fifty
    times as long.
    """

    def apply(self, img: NDArray[np.uint8], veil: NDArray[np.float32], **_: object) -> NDArray[np.uint8]:
        """Return the photo through a veil, (height, width) from 0 (clear) to 1 (nothing but fog)."""
        return _blend(img, veil, (215, 215, 215))

    def get_params_dependent_on_data(self, params: Params, data: Params) -> Params:  # noqa: ARG002
        """Draw a smooth density from a few points, thinner at the bottom, where a street scene is near."""
        height, width = params["shape"][:2]
        density = self.random_generator.uniform(0.5, 1, (3, 4)) * self.random_generator.uniform(0.3, 0.75)
        density *= np.array([1, 0.9, 0.5])[:, None]
        veil = cv2.resize(density.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        return {"veil": np.clip(veil, 0, 1)}


class SunFlare(A.ImageOnlyTransform):  # type: ignore[misc]
    """A low sun that shines into the lens: a white core in a wide warm glow.

    It replaces albumentations' RandomSunFlare, whose sun is hardly visible at the sizes of crops.
    """

    def apply(self, img: NDArray[np.uint8], glow: NDArray[np.float32], **_: object) -> NDArray[np.uint8]:
        """Return the photo with the glow, (height, width) from 0 to 1, over it."""
        return _blend(img, glow, (255, 248, 230))

    def get_params_dependent_on_data(self, params: Params, data: Params) -> Params:  # noqa: ARG002
        """Draw a sun somewhere in the upper half."""
        height, width = params["shape"][:2]
        draw = self.random_generator.uniform
        rows = np.arange(height, dtype=np.float32) - draw(0, height / 2)
        columns = np.arange(width, dtype=np.float32) - draw(0, width)

        def disc(radius: float) -> NDArray[np.float32]:
            return np.outer(np.exp(-((rows / radius) ** 2)), np.exp(-((columns / radius) ** 2))).astype(np.float32)

        core, wide = disc(height * draw(0.06, 0.12)), disc(height * draw(0.3, 0.6))
        return {"glow": np.clip(np.float32(0.8) * core + np.float32(draw(0.4, 0.7)) * wide, 0, 1)}
