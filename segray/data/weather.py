"""Weather over a photo: rain, snow, fog and sun flare. Labels stay as they are."""

from __future__ import annotations

import os
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # read when albumentations is imported: else it asks the network

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx


def weather(size_px: SizePx) -> list[A.BasicTransform]:
    """One transform for each kind, for photos of (height, width), uint8 RGB."""
    height, width = size_px
    return [
        A.RandomRain(
            slant_range=(-15, 15),
            drop_length=max(height // 12, 1),
            drop_color=(190, 195, 200),
            blur_value=3,
            brightness_coefficient=0.8,
            rain_type="heavy",
        ),
        A.RandomSnow(snow_point_range=(0.2, 0.5), method="texture"),
        Fog(),
        A.RandomSunFlare(
            flare_roi=(0, 0, 1, 0.4),
            src_radius=max(min(height, width) // 4, 2),
            num_flare_circles_range=(3, 6),
            src_color=(255, 250, 235),
        ),
    ]


class Fog(A.ImageOnlyTransform):  # type: ignore[misc]
    """A pale veil of uneven density: light of the scene and of the air add up, as in Koschmieder's law.

    Instead of albumentations' RandomFog, which draws hundreds of discs, each over the whole photo, and takes fifty
    times as long.
    """

    def apply(self, img: NDArray[np.uint8], veil: NDArray[np.float32], **_: Any) -> NDArray[np.uint8]:
        """The photo through a veil, (height, width) from 0, clear, to 1, nothing but fog."""
        share = veil[..., None]
        return (img * (1 - share) + np.float32(215) * share).astype(np.uint8)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Density at a few points, thinner towards the bottom, which is near in a street scene; smooth between them."""
        height, width = params["shape"][:2]
        density = self.random_generator.uniform(0.5, 1, (3, 4)) * self.random_generator.uniform(0.3, 0.75)
        density *= np.array([1, 0.9, 0.5])[:, None]
        veil = cv2.resize(density.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        return {"veil": np.clip(veil, 0, 1)}
