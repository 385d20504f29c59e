"""Scenes as leftImg8bit and gtFine: photos, label ids and colours, spread over a few cities."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.data.dataset import Split
from segray.data.datasets.cityscapes import LABEL_SUFFIX, LABELS, PHOTO_SUFFIX
from segray.data.synthetic.scene import Scene, write_image

COLOR_SUFFIX: Final = "_gtFine_color.png"
CITIES: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("ashford", "brookfield", "camden", "dunmore"),
    "val": ("elmstead", "fairhaven"),
    "test": ("glenville", "harwick"),
}


def write_scene(root: Path, scene: Scene) -> None:
    """Photo, label ids and colours of one scene."""
    cities = CITIES[scene.split]
    city = cities[scene.number % len(cities)]
    stem = f"{city}_{scene.number // len(cities):06d}_000019"
    for kind, suffix, image in (
        ("leftImg8bit", PHOTO_SUFFIX, scene.photo),
        ("gtFine", LABEL_SUFFIX, scene.label),
        ("gtFine", COLOR_SUFFIX, PALETTE[scene.label]),
    ):
        write_image(root / kind / scene.split / city / f"{stem}{suffix}", image)


def _palette() -> NDArray[np.uint8]:
    palette = np.zeros((256, 3), np.uint8)
    for label_id, _, _, color in LABELS:
        palette[label_id] = color
    return palette


PALETTE: Final = _palette()
"""Official colours by label id, shape (256, 3), RGB."""
