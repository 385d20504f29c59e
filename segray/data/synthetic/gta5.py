"""Writes scenes as images and labels: five-digit names, and palette PNGs in the official colours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from segray.data.datasets.dataset import Split
from segray.data.datasets.gta5 import LABELS, PALETTE, PHOTOS
from segray.data.files.encode import write_image
from segray.data.synthetic.scene import Scene

# First numbers of the splits: far apart, as if each split was a recording of its own.
FIRST_NUMBER: Final[dict[Split, int]] = {"train": 1, "val": 15001, "test": 20001}


def write_scene(root: Path, scene: Scene) -> None:
    """Write photo and label ids of one scene; the layout does not show the split."""
    name = f"{FIRST_NUMBER[scene.split] + scene.number:05d}.png"
    write_image(root / PHOTOS / name, scene.photo)
    image = Image.fromarray(np.ascontiguousarray(scene.label))
    image.putpalette(PALETTE.tobytes())
    path = root / LABELS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
