"""trainA: the folders trainA, trainA_seg_class and testA*, into which SG-GAN's scripts sample other data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segray.config import DataConfig
from segray.data.datasets.cityscapes import HINTS as LABEL_ID_HINTS
from segray.data.datasets.cityscapes import sequence_of as cityscapes_sequence
from segray.data.datasets.class_list import class_list
from segray.data.datasets.dataset import Dataset
from segray.data.datasets.gta5 import label_space as gta5_space
from segray.data.datasets.gta5 import sequence_of as gta5_sequence
from segray.data.datasets.lister import Lister
from segray.data.datasets.root import existing_folder, root_folder
from segray.data.files.pair import Pair
from segray.data.files.readers import FileReader, IdLabels
from segray.labels import Color, LabelSpace

# The ids that `segment_class.py` of Peilun-Li/SG-GAN writes, in order. The colour of a group is that of the Cityscapes
# class that the group most often stands for.
GROUPS: Final[dict[str, Color]] = {
    "others": (0, 0, 0),
    "vehicles": (0, 0, 142),
    "pedestrians": (220, 20, 60),
    "cyclist": (119, 11, 32),
    "roads": (128, 64, 128),
    "buildings": (70, 70, 70),
    "sky": (70, 130, 180),
    "tree": (107, 142, 35),
}
CLASS_LISTS: Final = ("label_ids", "train_ids", "categories", "groups")
GROUP_HINTS: Final = dict.fromkeys(
    range(len(GROUPS), 256),
    "groups has ids 0 to 7; for label ids set data.classes to label_ids, train_ids or categories",
)
CLASS_SUFFIX: Final = "_seg_class"
COLOR_SUFFIX: Final = "_seg"


def label_space(classes: str = "label_ids") -> LabelSpace:
    """Return the classes of one of CLASS_LISTS; files of `groups` hold ids 0 to 7, all others hold label ids."""
    if classes != "groups":
        return gta5_space(classes)
    return LabelSpace(
        names=tuple(GROUPS), colors=tuple(GROUPS.values()), raw_to_train={group: group for group in range(len(GROUPS))}
    )


def train_a(config: DataConfig) -> Dataset:
    """trainA/*.png with trainA_seg_class/*.png, and the same of testA; trainA_seg, the colours, are not read."""
    classes = class_list(config, CLASS_LISTS)
    space = label_space(classes)
    hints = GROUP_HINTS if classes == "groups" else LABEL_ID_HINTS
    root = root_folder(config.root, ("trainA", f"trainA{CLASS_SUFFIX}"))
    lister = Lister()
    train, has_test = _pairs(lister, root, "trainA"), (root / "testA").exists()
    labelled_test = has_test and (root / f"testA{CLASS_SUFFIX}").exists()
    return Dataset(
        label_space=space,
        reader=FileReader(IdLabels(space.raw_to_train, hints)),
        official={"train": train, "test": _pairs(lister, root, "testA")} if labelled_test else {},
        undivided=[] if labelled_test else train,
        unlabelled=list(lister.photos(root / "testA").values()) if has_test and not labelled_test else [],
        unused=lister.unused,
    )


def _pairs(lister: Lister, root: Path, part: str) -> list[Pair]:
    photo_folder, label_folder = existing_folder(root / part), existing_folder(root / f"{part}{CLASS_SUFFIX}")
    photos, labels = lister.photos(photo_folder), lister.labels(label_folder)
    # Both parts may hold the same frame, but names of pairs are unique.
    return [
        pair._replace(name=f"{part}/{pair.name}", sequence=_sequence_of(pair.name))
        for pair in lister.match(photos, labels, photo_folder, label_folder)
    ]


def _sequence_of(stem: str) -> str:
    """Return the frame's sequence, or the frame's own name if the name tells no sequence.

    The name keeps a frame that both parts hold on one side of a split.
    """
    return cityscapes_sequence(stem) or gta5_sequence(stem) or stem
