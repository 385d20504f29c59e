"""Scenes as images and labels: five-digit names, and palette PNGs in the official colours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from segray.data.dataset import Split
from segray.data.datasets.cityscapes import PALETTE
from segray.data.datasets.gta5 import LABELS, LICENSE_PLATE_ID, PHOTOS
from segray.data.synthetic.scene import Scene, write_image
from segray.labels import Color

# Far apart, as if each split were a recording of its own.
FIRST_NUMBER: Final[dict[Split, int]] = {"train": 1, "val": 15001, "test": 20001}
LICENSE_PLATE_COLOR: Final[Color] = (0, 0, 142)


def write_scene(root: Path, scene: Scene) -> None:
    """Photo and label ids of one scene; the layout does not tell its split."""
    name = f"{FIRST_NUMBER[scene.split] + scene.number:05d}.png"
    write_image(root / PHOTOS / name, scene.photo)
    palette = PALETTE.copy()
    palette[LICENSE_PLATE_ID] = LICENSE_PLATE_COLOR
    image = Image.fromarray(np.ascontiguousarray(scene.label))
    image.putpalette(palette.tobytes())
    path = root / LABELS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
