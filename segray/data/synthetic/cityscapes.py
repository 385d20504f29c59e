"""Writes scenes as leftImg8bit and gtFine: photos, label ids and colours in a few cities; for test, photos alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segray.data.datasets.cityscapes import FINE, LABEL_SUFFIX, PALETTE, PHOTO_SUFFIX, PHOTOS
from segray.data.datasets.dataset import Split
from segray.data.files.encode import write_image
from segray.data.synthetic.scene import Scene

COLOR_SUFFIX: Final = "_gtFine_color.png"
CITIES: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("ashford", "brookfield", "camden", "dunmore"),
    "val": ("elmstead", "fairhaven"),
    "test": ("glenville", "harwick"),
}


def write_scene(root: Path, scene: Scene) -> None:
    """Write photo, label ids and colours of one scene; of a test scene, only the photo."""
    cities = CITIES[scene.split]
    city = cities[scene.number % len(cities)]
    stem = f"{city}_{scene.number // len(cities):06d}_000019"
    files = [(PHOTOS, PHOTO_SUFFIX, scene.photo)]
    if scene.split != "test":
        files += [(FINE, LABEL_SUFFIX, scene.label), (FINE, COLOR_SUFFIX, PALETTE[scene.label])]
    for kind, suffix, image in files:
        write_image(root / kind / scene.split / city / f"{stem}{suffix}", image)
