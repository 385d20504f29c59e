"""Scenes as photo and colour mask side by side: 1.jpg, 2.jpg, ... in train and val, blurred as JPEG blurs them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from segray.data.datasets.cityscapes import PALETTE
from segray.data.synthetic.scene import Scene

FIRST_TEST_NUMBER: Final = 1001
"""The layout has no test split: such scenes join val, numbered from here."""
QUALITY: Final = 90
"""Of the JPEG, whose colours have half the resolution, as Pillow writes it by default."""


def write_scene(root: Path, scene: Scene) -> None:
    """One file of twice the scene's width."""
    folder, first = ("val", FIRST_TEST_NUMBER) if scene.split == "test" else (scene.split, 1)
    both = np.concatenate([scene.photo, PALETTE[scene.label]], axis=1)
    path = root / folder / f"{first + scene.number}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(both).save(path, quality=QUALITY)
