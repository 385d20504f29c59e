"""Writes scenes as dataA/dataA/CameraRGB and CameraSeg: Kaggle's form of the Lyft and Udacity challenge, ids in red."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segray.data.datasets.carla import IDS, LABELS, PHOTOS
from segray.data.datasets.cityscapes import LABELS as CITYSCAPES_LABELS
from segray.data.datasets.dataset import Split
from segray.data.files.encode import write_image
from segray.data.synthetic.scene import Scene

FOLDERS: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("dataA", "dataB", "dataC"),
    "val": ("dataD",),
    "test": ("dataE",),
}
FRAMES_PER_DRIVE: Final = 4
SAME_THINGS: Final[dict[str, tuple[str, ...]]] = {
    "Buildings": ("building",),
    "Fences": ("fence", "guard rail"),
    "Pedestrians": ("person",),
    "Poles": ("pole", "polegroup"),
    "Roads": ("road", "parking"),
    "Sidewalks": ("sidewalk",),
    "Vegetation": ("vegetation", "terrain"),
    "Vehicles": ("car", "truck", "bus", "motorcycle", "bicycle", "rider", "ego vehicle"),
    "Walls": ("wall",),
    "TrafficSigns": ("traffic sign", "traffic light"),
}
"""CARLA's class -> the Cityscapes labels of the same things; all other labels are None, as the sky is in CARLA."""


def write_scene(root: Path, scene: Scene) -> None:
    """Write the photo, and class ids in the red channel; in every other folder, labels have an alpha channel."""
    folders = FOLDERS[scene.split]
    folder, number = folders[scene.number % len(folders)], scene.number // len(folders)
    stem = f"{2 + number // FRAMES_PER_DRIVE:02d}_00_{number % FRAMES_PER_DRIVE:03d}"
    place = root / folder / folder
    write_image(place / PHOTOS / f"{stem}.png", scene.photo)
    channels = np.zeros((*scene.label.shape, 4 if folder in ("dataA", "dataC", "dataE") else 3), np.uint8)
    channels[..., 0] = _ids(scene)
    channels[..., 3:] = 255
    path = place / LABELS / f"{stem}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(channels).save(path)


def _ids(scene: Scene) -> NDArray[np.uint8]:
    ids = BY_CITYSCAPES_ID[scene.label]
    bright = scene.photo.min(axis=2) > 150
    ids[(ids == IDS["Roads"]) & bright] = IDS["RoadLines"]
    return ids


def _table() -> NDArray[np.uint8]:
    table = np.full(256, IDS["None"], np.uint8)
    class_of = {same: name for name, things in SAME_THINGS.items() for same in things}
    for label_id, name, _, _ in CITYSCAPES_LABELS:
        table[label_id] = IDS[class_of.get(name, "None")]
    return table


BY_CITYSCAPES_ID: Final = _table()
"""CARLA's class ids by Cityscapes label id, shape (256,)."""
