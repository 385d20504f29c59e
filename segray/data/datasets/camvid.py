"""CamVid: 11 classes as published with SegNet, or the 32 original ones, in colours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from segray.config import DataConfig
from segray.data.datasets.class_list import class_list
from segray.data.datasets.dataset import SPLITS, Dataset, Split
from segray.data.datasets.lister import Lister, by_name
from segray.data.datasets.root import existing_split, folders_near, marker, root_folder, split_folder
from segray.data.datasets.sequences import block
from segray.data.files.pair import Pair
from segray.data.files.readers import ColorLabels, FileReader, IdLabels
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
# Video", Pattern Recognition Letters 2009. The 11-class name that groups each of them: MathWorks' example "Semantic
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
# Frames are numbered at 30 a second, so a block lasts 10 seconds.
BLOCK: Final = 300


class Form(NamedTuple):
    """The folders of a published form of CamVid; `{split}` stands for train, val and test."""

    photos: str
    labels: str

    def is_labelled(self, root: Path, split: Split) -> bool:
        """Return whether there is a folder of the split's labels."""
        return os.path.lexists(split_folder(root, self.labels, split))


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
            f"{str(root)!r} has SegNet's form, whose label files hold ids of the 11 classes; set data.classes to segnet"
        )
    colors = CLASSES if classes == "segnet" else {name: color for name, (color, _) in ORIGINAL.items()}
    ids = {train_id: train_id for train_id in range(len(CLASSES))} | {VOID_ID: IGNORE_INDEX}
    space = LabelSpace(names=tuple(colors), colors=tuple(colors.values()), raw_to_train=ids if form is SEGNET else {})
    reader = FileReader(IdLabels(ids) if form is SEGNET else ColorLabels(_id_by_color(classes)))
    lister = Lister()
    if form is RAW:
        return Dataset(
            label_space=space,
            reader=reader,
            official={},
            undivided=_pairs(lister, root, RAW, "train"),
            split_sizes=(0.6, 0.2, 0.2),
            unused=lister.unused,
        )
    test_photos = split_folder(root, form.photos, "test")
    splits = SPLITS if form.is_labelled(root, "test") else SPLITS[:2]
    unlabelled = lister.photos(test_photos) if splits != SPLITS and os.path.lexists(test_photos) else {}
    return Dataset(
        label_space=space,
        reader=reader,
        official={split: _pairs(lister, root, form, split, prefix=f"{split}/") for split in splits},
        unlabelled=tuple(unlabelled.values()),
        unused=lister.unused,
    )


def _id_by_color(classes: str) -> dict[Color, int]:
    names = list(CLASSES if classes == "segnet" else ORIGINAL)
    ids = {color: names.index(group if classes == "segnet" else name) for name, (color, group) in ORIGINAL.items()}
    return ids | {VOID: IGNORE_INDEX}


def _root(root: str, classes: str) -> tuple[Path, Form]:
    """Return the folder and the first form that it holds; for the original classes, SegNet's form comes last."""
    folder = root_folder(root)
    forms = FORMS if classes == "segnet" else (KAGGLE, RAW, SEGNET)
    held = [form for form in forms if any(form.is_labelled(folder, split) for split in SPLITS)]
    markers = {form: [marker(folder, pattern, "train") for pattern in form] for form in FORMS}
    near = held or [form for form in FORMS if folders_near(folder, markers[form])]
    if not near:
        choices = ", or ".join(" and ".join(names) for names in markers.values())
        raise DataError(f"data folder {str(folder)!r} must hold {choices}, but none of these pairs is whole")
    return root_folder(root, markers[near[0]]), near[0]


def _pairs(lister: Lister, root: Path, form: Form, split: Split, prefix: str = "") -> list[Pair]:
    photo_folder, label_folder = existing_split(root, form.photos, split), existing_split(root, form.labels, split)
    photos, files = lister.photos(photo_folder), lister.labels(label_folder)
    labels = by_name(files.items(), lambda stem: stem.removesuffix("_L"))
    pairs = lister.match(photos, labels, photo_folder, label_folder)
    # Splits may share names of files, but names of pairs are unique.
    return [pair._replace(name=prefix + pair.name, sequence=block(pair.name, BLOCK)) for pair in pairs]
