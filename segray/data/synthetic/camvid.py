"""Writes scenes as SPLIT and SPLITannot: SegNet's form of CamVid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.camvid import CLASSES, VOID_ID
from segray.data.datasets.cityscapes import LABELS
from segray.data.datasets.dataset import Split
from segray.data.files.encode import write_image
from segray.data.synthetic.scene import Scene

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
"""CamVid's class -> the Cityscapes labels of the same things."""


STEMS: Final[dict[Split, Callable[[int], str]]] = {
    "train": lambda number: f"0001TP_{6690 + 30 * number:06d}",
    "val": lambda number: f"0016E5_{7959 + 2 * number:05d}",
    "test": lambda number: f"Seq05VD_f{30 * number:05d}",
}
"""Names of video and frame, as in CamVid: one frame a second, or fifteen."""


def write_scene(root: Path, scene: Scene) -> None:
    """Write photo and class ids of one scene."""
    stem = STEMS[scene.split](scene.number)
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
