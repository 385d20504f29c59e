"""Writes scenes as photo and colour mask side by side: 1.jpg, 2.jpg, ... in train and val, blurred by JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from segray.data.datasets.cityscapes import PALETTE
from segray.data.synthetic.scene import Scene

FIRST_TEST_NUMBER: Final = 1001
"""First number of test scenes, which go to val, because the layout has no test split."""
QUALITY: Final = 90
"""Quality of the JPEG, whose colours have half the resolution, which is Pillow's default."""


def write_scene(root: Path, scene: Scene) -> None:
    """Write one file of twice the scene's width."""
    folder, first = ("val", FIRST_TEST_NUMBER) if scene.split == "test" else (scene.split, 1)
    both = np.concatenate([scene.photo, PALETTE[scene.label]], axis=1)
    path = root / folder / f"{first + scene.number}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(both).save(path, quality=QUALITY)
