"""CamVid: 11 classes as published with SegNet, or the 32 original ones, in colours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from segray.config import DataConfig
from segray.data.dataset import SPLITS, Dataset, Pair
from segray.data.datasets.class_list import class_list
from segray.data.datasets.listing import (
    LABEL_EXTENSIONS,
    PHOTO_EXTENSIONS,
    by_stem,
    existing_folder,
    folders_near,
    match,
    root_folder,
)
from segray.data.datasets.sequences import block
from segray.data.readers import ColorLabels, FileReader, IdLabels
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX, Color, LabelSpace

# Ids and colours of the 11-class version: Badrinarayanan, Kendall and Cipolla, "SegNet", PAMI 2017.
CLASSES: Final[dict[str, Color]] = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (60, 40, 222),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}
VOID_ID: Final = 11

# Colours of the original classes: label_colors.txt of Brostow, Fauqueur and Cipolla, "Semantic Object Classes in
# Video", Pattern Recognition Letters 2009. The 11-class name that each is grouped under: MathWorks' example "Semantic
# Segmentation Using Deep Learning" (camvidPixelLabelIDs), which follows SegNet.
ORIGINAL: Final[dict[str, tuple[Color, str]]] = {
    "Animal": ((64, 128, 64), "Pedestrian"),
    "Archway": ((192, 0, 128), "Building"),
    "Bicyclist": ((0, 128, 192), "Bicyclist"),
    "Bridge": ((0, 128, 64), "Building"),
    "Building": ((128, 0, 0), "Building"),
    "Car": ((64, 0, 128), "Car"),
    "CartLuggagePram": ((64, 0, 192), "Pedestrian"),
    "Child": ((192, 128, 64), "Pedestrian"),
    "Column_Pole": ((192, 192, 128), "Pole"),
    "Fence": ((64, 64, 128), "Fence"),
    "LaneMkgsDriv": ((128, 0, 192), "Road"),
    "LaneMkgsNonDriv": ((192, 0, 64), "Road"),
    "Misc_Text": ((128, 128, 64), "SignSymbol"),
    "MotorcycleScooter": ((192, 0, 192), "Bicyclist"),
    "OtherMoving": ((128, 64, 64), "Car"),
    "ParkingBlock": ((64, 192, 128), "Pavement"),
    "Pedestrian": ((64, 64, 0), "Pedestrian"),
    "Road": ((128, 64, 128), "Road"),
    "RoadShoulder": ((128, 128, 192), "Pavement"),
    "Sidewalk": ((0, 0, 192), "Pavement"),
    "SignSymbol": ((192, 128, 128), "SignSymbol"),
    "Sky": ((128, 128, 128), "Sky"),
    "SUVPickupTruck": ((64, 128, 192), "Car"),
    "TrafficCone": ((0, 0, 64), "Pole"),
    "TrafficLight": ((0, 64, 64), "SignSymbol"),
    "Train": ((192, 64, 128), "Car"),
    "Tree": ((128, 128, 0), "Tree"),
    "Truck_Bus": ((192, 128, 192), "Car"),
    "Tunnel": ((64, 0, 64), "Building"),
    "VegetationMisc": ((192, 192, 0), "Tree"),
    "Wall": ((64, 192, 0), "Building"),
}
VOID: Final[Color] = (0, 0, 0)
CLASS_LISTS: Final = ("segnet", "original")
# Frames are numbered at 30 a second: 10 seconds.
BLOCK: Final = 300


class Form(NamedTuple):
    """Where a published form of CamVid has its files; `{split}` stands for train, val and test."""

    photos: str
    labels: str

    def folders(self, root: Path, split: str) -> tuple[Path, Path]:
        """The photos' and the labels'."""
        return root / self.photos.replace("{split}", split), root / self.labels.replace("{split}", split)


SEGNET: Final = Form("{split}", "{split}annot")
KAGGLE: Final = Form("{split}", "{split}_labels")
RAW: Final = Form("701_StillsRaw_full", "LabeledApproved_full")
FORMS: Final = (SEGNET, KAGGLE, RAW)


def camvid(config: DataConfig) -> Dataset:
    """SegNet's form (train/, trainannot/), Kaggle's (train/, train_labels/), or 701_StillsRaw_full/ with its labels."""
    classes = class_list(config, CLASS_LISTS)
    root, form = _root(config.root, classes)
    if form is SEGNET and classes == "original":
        raise ConfigError(
            "data.classes original needs CamVid's labels in colours, in LabeledApproved_full or train_labels, but "
            f"{str(root)!r} has SegNet's form, whose label files hold ids of the 11 classes; use segnet"
        )
    colors = CLASSES if classes == "segnet" else {name: color for name, (color, _) in ORIGINAL.items()}
    ids = {train_id: train_id for train_id in range(len(CLASSES))} | {VOID_ID: IGNORE_INDEX}
    space = LabelSpace(names=tuple(colors), colors=tuple(colors.values()), raw_to_train=ids if form is SEGNET else {})
    reader = FileReader(IdLabels(ids) if form is SEGNET else ColorLabels(_id_by_color(classes)))
    if form is RAW:
        pairs = _pairs(*RAW.folders(root, ""))
        return Dataset(label_space=space, reader=reader, official={}, undivided=pairs, split_sizes=(0.6, 0.2, 0.2))
    test_photos, test_labels = form.folders(root, "test")
    splits = SPLITS if os.path.lexists(test_labels) else SPLITS[:2]
    unlabelled = by_stem(test_photos, PHOTO_EXTENSIONS) if splits != SPLITS and os.path.lexists(test_photos) else {}
    return Dataset(
        label_space=space,
        reader=reader,
        official={split: _pairs(*form.folders(root, split), prefix=f"{split}/") for split in splits},
        unlabelled=tuple(unlabelled.values()),
    )


def _id_by_color(classes: str) -> dict[Color, int]:
    names = list(CLASSES if classes == "segnet" else ORIGINAL)
    ids = {color: names.index(group if classes == "segnet" else name) for name, (color, group) in ORIGINAL.items()}
    return ids | {VOID: IGNORE_INDEX}


def _root(root: str, classes: str) -> tuple[Path, Form]:
    """The folder and the first form that it holds; SegNet's counts last where all original classes are asked for."""
    folder = root_folder(root)
    forms = FORMS if classes == "segnet" else (KAGGLE, RAW, SEGNET)
    held = [form for form in forms if any(os.path.lexists(form.folders(folder, split)[1]) for split in SPLITS)]
    markers = {form: [pattern.replace("{split}", "train") for pattern in form] for form in FORMS}
    near = held or [form for form in FORMS if folders_near(folder, markers[form])]
    if not near:
        choices = ", or ".join(" and ".join(names) for names in markers.values())
        raise DataError(f"data folder {str(folder)!r} must hold {choices}, but none of these pairs is whole")
    return root_folder(root, markers[near[0]]), near[0]


def _pairs(photo_folder: Path, label_folder: Path, prefix: str = "") -> list[Pair]:
    photos = by_stem(existing_folder(photo_folder), PHOTO_EXTENSIONS)
    files = by_stem(existing_folder(label_folder), LABEL_EXTENSIONS)
    labels = {stem.removesuffix("_L"): path for stem, path in files.items()}
    pairs = match(photos, labels, photo_folder, label_folder)
    # Names may repeat from split to split.
    return [pair._replace(name=prefix + pair.name, sequence=block(pair.name, BLOCK)) for pair in pairs]
