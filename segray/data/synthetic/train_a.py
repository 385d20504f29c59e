"""Writes scenes as trainA and testA: photos, colours and label ids; validation scenes go to trainA, too."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segray.data.datasets.cityscapes import PALETTE
from segray.data.datasets.dataset import Split
from segray.data.datasets.train_a import CLASS_SUFFIX, COLOR_SUFFIX
from segray.data.files.encode import write_image
from segray.data.synthetic.scene import Scene

PLACES: Final[dict[Split, tuple[str, str]]] = {
    "train": ("trainA", "ashford"),
    "val": ("trainA", "elmstead"),
    "test": ("testA", "glenville"),
}


def write_scene(root: Path, scene: Scene) -> None:
    """Write photo, colours and label ids of one scene."""
    part, city = PLACES[scene.split]
    name = f"{city}_{scene.number:06d}.png"
    write_image(root / part / name, scene.photo)
    write_image(root / f"{part}{COLOR_SUFFIX}" / name, PALETTE[scene.label])
    write_image(root / f"{part}{CLASS_SUFFIX}" / name, scene.label)
