"""CARLA as published for the Lyft and Udacity challenge: 13 classes, ids in the red channel of the label PNGs."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from segray.config import DataConfig
from segray.data.datasets.class_list import class_list
from segray.data.datasets.dataset import Dataset
from segray.data.datasets.lister import Lister
from segray.data.datasets.root import contents, existing_folder, root_folder
from segray.data.datasets.sequences import block, split_number
from segray.data.files.decode import read_label
from segray.data.files.pair import Pair
from segray.data.files.palettes import NO_COLORS
from segray.data.files.readers import FileReader, Label, shown_values
from segray.errors import DataError
from segray.labels import Color, LabelSpace

# Names and colours by id: `labels_to_cityscapes_palette` in PythonClient/carla/image_converter.py of CARLA 0.8.2, the
# version that the challenge used.
CLASSES: Final[dict[str, Color]] = {
    "None": (0, 0, 0),
    "Buildings": (70, 70, 70),
    "Fences": (190, 153, 153),
    "Other": (72, 0, 90),
    "Pedestrians": (220, 20, 60),
    "Poles": (153, 153, 153),
    "RoadLines": (157, 234, 50),
    "Roads": (128, 64, 128),
    "Sidewalks": (244, 35, 232),
    "Vegetation": (107, 142, 35),
    "Vehicles": (0, 0, 255),
    "Walls": (102, 102, 156),
    "TrafficSigns": (220, 220, 0),
}
IDS: Final = {name: raw for raw, name in enumerate(CLASSES)}
CLASS_LISTS: Final = ("raw", "challenge")
PHOTOS: Final = "CameraRGB"
LABELS: Final = "CameraSeg"
# From this row of 600 on, the challenge's own label preparation takes pixels of vehicles for the bonnet.
BONNET_ROW: Final = 496 / 600
BLOCK: Final = 50
_COLOR_MODES: Final = frozenset({"RGB", "RGBA"})


def label_space(classes: str) -> LabelSpace:
    """Return the 13 classes by id (`raw`), or the challenge's 12, in which lane markings are road (`challenge`)."""
    names = [name for name in CLASSES if not (classes == "challenge" and name == "RoadLines")]
    train_ids = {name: train_id for train_id, name in enumerate(names)}
    return LabelSpace(
        names=tuple(names),
        colors=tuple(CLASSES[name] for name in names),
        raw_to_train={raw: train_ids.get(name, train_ids["Roads"]) for raw, name in enumerate(CLASSES)},
    )


def carla(config: DataConfig) -> Dataset:
    """CameraRGB/*.png with CameraSeg/*.png, in the root, in Train/, in dataA/, dataA/dataA/ and so on."""
    classes = class_list(config, CLASS_LISTS)
    space = label_space(classes)
    lister = Lister()
    return Dataset(
        label_space=space,
        reader=FileReader(RedChannelIds(space.raw_to_train, remove_bonnet=classes == "challenge")),
        official={},
        undivided=_pairs(lister, config.root),
        split_sizes=(0.6, 0.2, 0.2),
        unused=lister.unused,
    )


class RedChannelIds:
    """Decodes RGB, RGBA or palette PNGs with the class id in the red channel.

    Args:
        raw_to_train: Id -> training id; the ids are those of CLASSES.
        remove_bonnet: Whether vehicle pixels in the lowest rows become class `None`: they show the bonnet of the car
            that carries the camera.
    """

    def __init__(self, raw_to_train: Mapping[int, int], *, remove_bonnet: bool) -> None:
        self._table = np.zeros(256, np.uint8)
        for raw, train in raw_to_train.items():
            self._table[raw] = train
        self._known = frozenset(raw_to_train)
        self._remove_bonnet = remove_bonnet
        self.key = json.dumps({"red channel": sorted(raw_to_train.items()), "without bonnet": remove_bonnet})

    def __call__(self, path: Path) -> Label:
        """Return training ids; an id that belongs to no class, or lies in another channel, is an error."""
        channels, mode, palette_N3 = read_label(path)
        if mode == "P" and channels.max() < len(palette_N3):  # an optimiser wrote it: the same picture
            channels, mode = palette_N3[channels], "RGB"
        if mode not in _COLOR_MODES:
            raise DataError(
                f"{path}: a CARLA label must be an RGB or RGBA PNG with class ids in the red channel, but its mode is "
                f"{mode}; for files with one channel of ids use the data set folder"
            )
        ids = channels[..., 0].copy()
        others = [] if ids.any() else [name for name, at in (("green", 1), ("blue", 2)) if channels[..., at].any()]
        if others:
            cause = "; the file was written with red and blue exchanged (BGR for RGB)" if others == ["blue"] else ""
            raise DataError(
                f"{path}: class ids must be in the red channel, but red is 0 everywhere and {' and '.join(others)} "
                f"is not{cause}"
            )
        values = np.flatnonzero(np.bincount(ids.ravel(), minlength=256)).tolist()
        wrong = [value for value in values if value not in self._known]
        if wrong:
            raise DataError(
                f"{path}: the red channel must hold class ids from 0 to {max(self._known)}, but also holds "
                f"{shown_values(wrong)}; a mask in colours holds no ids"
            )
        if self._remove_bonnet:
            lowest = ids[round(BONNET_ROW * len(ids)) :]
            lowest[lowest == IDS["Vehicles"]] = IDS["None"]
        return Label(self._table[ids], NO_COLORS)


def _pairs(lister: Lister, root: str) -> list[Pair]:
    photos: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    recordings = _recordings(root)
    for name, folder in recordings.items():
        for kind, files, list_files in ((PHOTOS, photos, lister.photos), (LABELS, labels, lister.labels)):
            found = list_files(existing_folder(folder / kind))
            files.update({f"{name}/{stem}" if name else stem: path for stem, path in found.items()})
    alone = len(recordings) == 1
    where = [next(iter(recordings.values())) / kind if alone else Path(root) for kind in (PHOTOS, LABELS)]
    pairs = lister.match(photos, labels, *where)
    return [pair._replace(sequence=sequence(pair.name)) for pair in pairs]


def sequence(name: str) -> str:
    """Return the drive that an image is from.

    Kaggle's names tell the drive: ``02_00_000`` is frame 0 of drive ``02_00_``, ``F61-12`` frame 12 of ``F61-``. Where
    names only count the frames, as in the challenge's own ``923``, 50 neighbouring numbers count as a drive.
    """
    folder, _, stem = name.rpartition("/")
    before, number = split_number(stem)
    if number is None:
        return ""
    return f"{folder}/{before if any(map(str.isdigit, before)) else block(stem, BLOCK)}"


def _recordings(root: str) -> dict[str, Path]:
    """Return name of a recording, such as ``dataA`` or an empty one -> folder that holds its photos and labels."""
    folder = root_folder(root)
    found = _below(folder)
    if found:
        return found
    for inner in contents([folder]):
        if _below(inner):
            raise DataError(f"data folder {str(folder)!r} is one level too high; set data.root to {str(inner)!r}")
    return {"": root_folder(root, (PHOTOS, LABELS))}


def _below(folder: Path) -> dict[str, Path]:
    """Return all recordings in the folder and up to two levels below, by the name of the outer folder.

    Where an outer folder holds several recordings, their names include the inner folder.
    """
    outer = [path for path in contents([folder]) if path.name not in (PHOTOS, LABELS)]
    inner = [path for path in contents(outer) if path.name not in (PHOTOS, LABELS)]
    found = [path.relative_to(folder).parts for path in (folder, *outer, *inner) if _is_recording(path)]
    if found == [("Train",)]:
        return {"": folder / "Train"}
    held = Counter(parts[:1] for parts in found)
    return {"/".join(parts[:1] if held[parts[:1]] == 1 else parts): folder.joinpath(*parts) for parts in found}


def _is_recording(folder: Path) -> bool:
    return any(os.path.lexists(folder / kind) for kind in (PHOTOS, LABELS))
