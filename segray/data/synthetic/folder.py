"""Writes scenes as images/SPLIT and labels/SPLIT, with the 19 training ids of Cityscapes and 255 for void."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.cityscapes import LABELS
from segray.data.files.encode import write_image
from segray.data.synthetic.scene import Scene
from segray.labels import IGNORE_INDEX


def write_scene(root: Path, scene: Scene) -> None:
    """Write photo and training ids of one scene."""
    stem = f"scene_{scene.number:04d}"
    write_image(root / "images" / scene.split / f"{stem}.png", scene.photo)
    write_image(root / "labels" / scene.split / f"{stem}.png", TRAIN_IDS[scene.label])


def _train_ids() -> NDArray[np.uint8]:
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for label_id, _, train_id, _ in LABELS:
        table[label_id] = train_id
    return table


TRAIN_IDS: Final = _train_ids()
"""Training ids by Cityscapes label id, shape (256,)."""
