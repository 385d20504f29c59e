"""Scenes as SPLIT and SPLITannot: SegNet's form of CamVid."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.camvid import CLASSES, VOID_ID
from segray.data.datasets.cityscapes import LABELS
from segray.data.synthetic.scene import Scene, write_image

SAME_THINGS: Final[dict[str, tuple[str, ...]]] = {
    "Sky": ("sky",),
    "Building": ("building", "wall"),
    "Pole": ("pole",),
    "Road": ("road",),
    "Pavement": ("sidewalk",),
    "Tree": ("vegetation", "terrain"),
    "SignSymbol": ("traffic sign", "traffic light"),
    "Fence": ("fence",),
    "Car": ("car", "truck", "bus"),
    "Pedestrian": ("person",),
    "Bicyclist": ("rider", "bicycle", "motorcycle"),
}
"""CamVid's class -> the Cityscapes labels that show the same."""


def write_scene(root: Path, scene: Scene) -> None:
    """Photo and class ids of one scene."""
    stem = f"0001TP_{scene.number:06d}"
    write_image(root / scene.split / f"{stem}.png", scene.photo)
    write_image(root / f"{scene.split}annot" / f"{stem}.png", IDS[scene.label])


def _ids() -> NDArray[np.uint8]:
    table = np.full(256, VOID_ID, np.uint8)
    class_ids = {name: class_id for class_id, same in enumerate(CLASSES) for name in SAME_THINGS[same]}
    for label_id, name, _, _ in LABELS:
        table[label_id] = class_ids.get(name, VOID_ID)
    return table


IDS: Final = _ids()
"""CamVid's class ids by Cityscapes label id, shape (256,)."""
