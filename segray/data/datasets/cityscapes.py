"""Cityscapes in its official layout: fine and coarse labels, as 19 classes, 34 label ids or 8 categories."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.config import DataConfig
from segray.data.datasets.class_list import class_list
from segray.data.datasets.dataset import Dataset
from segray.data.datasets.lister import LABEL_EXTENSIONS, PHOTO_EXTENSIONS, Lister
from segray.data.datasets.root import existing_folder, root_folder
from segray.data.files.pair import Pair
from segray.data.files.readers import FileReader, IdLabels
from segray.labels import IGNORE_INDEX, Color, LabelSpace

# Label id, name, training id, RGB colour: the table of Cordts et al., "The Cityscapes Dataset for Semantic Urban
# Scene Understanding", CVPR 2016. The license plate (id -1) is drawn into no label file.
LABELS: Final[tuple[tuple[int, str, int, Color], ...]] = (
    (0, "unlabeled", 255, (0, 0, 0)),
    (1, "ego vehicle", 255, (0, 0, 0)),
    (2, "rectification border", 255, (0, 0, 0)),
    (3, "out of roi", 255, (0, 0, 0)),
    (4, "static", 255, (0, 0, 0)),
    (5, "dynamic", 255, (111, 74, 0)),
    (6, "ground", 255, (81, 0, 81)),
    (7, "road", 0, (128, 64, 128)),
    (8, "sidewalk", 1, (244, 35, 232)),
    (9, "parking", 255, (250, 170, 160)),
    (10, "rail track", 255, (230, 150, 140)),
    (11, "building", 2, (70, 70, 70)),
    (12, "wall", 3, (102, 102, 156)),
    (13, "fence", 4, (190, 153, 153)),
    (14, "guard rail", 255, (180, 165, 180)),
    (15, "bridge", 255, (150, 100, 100)),
    (16, "tunnel", 255, (150, 120, 90)),
    (17, "pole", 5, (153, 153, 153)),
    (18, "polegroup", 255, (153, 153, 153)),
    (19, "traffic light", 6, (250, 170, 30)),
    (20, "traffic sign", 7, (220, 220, 0)),
    (21, "vegetation", 8, (107, 142, 35)),
    (22, "terrain", 9, (152, 251, 152)),
    (23, "sky", 10, (70, 130, 180)),
    (24, "person", 11, (220, 20, 60)),
    (25, "rider", 12, (255, 0, 0)),
    (26, "car", 13, (0, 0, 142)),
    (27, "truck", 14, (0, 0, 70)),
    (28, "bus", 15, (0, 60, 100)),
    (29, "caravan", 255, (0, 0, 90)),
    (30, "trailer", 255, (0, 0, 110)),
    (31, "train", 16, (0, 80, 100)),
    (32, "motorcycle", 17, (0, 0, 230)),
    (33, "bicycle", 18, (119, 11, 32)),
)

# Category -> its label ids, from the same table. The benchmark scores seven of them; void is the eighth.
CATEGORIES: Final[dict[str, range]] = {
    "void": range(7),
    "flat": range(7, 11),
    "construction": range(11, 17),
    "object": range(17, 21),
    "nature": range(21, 23),
    "sky": range(23, 24),
    "human": range(24, 26),
    "vehicle": range(26, 34),
}

CLASS_LISTS: Final = ("train_ids", "label_ids", "categories")
PHOTOS: Final = "leftImg8bit"
FINE: Final = "gtFine"
COARSE: Final = "gtCoarse"
PHOTO_END: Final = "_leftImg8bit"
PHOTO_SUFFIX: Final = f"{PHOTO_END}.png"
LABEL_SUFFIX: Final = "_gtFine_labelIds.png"
COMPANIONS: Final = ("_color", "_instanceIds", "_polygons", "_labelTrainIds", "_instanceTrainIds")
"""Endings of the files that the authors and their scripts put beside the label ids."""
HINTS: Final = {255: "255 is void in training ids, but label ids are expected, in which 7 is road and 23 is sky"}
"""Value that is no label id -> hint for the error message where a label file holds it."""


def label_space(classes: str = "train_ids") -> LabelSpace:
    """Return the classes of one of CLASS_LISTS; raw values are label ids.

    Args:
        classes: `train_ids` are the 19 classes of the benchmark, the rest is void; `label_ids` are all 34 label ids,
            none of them void; `categories` are the 8 groups of label ids, and `void` is a class, too.
    """
    if classes == "train_ids":
        trained = sorted((train_id, name, color) for _, name, train_id, color in LABELS if train_id != IGNORE_INDEX)
        return LabelSpace(
            names=tuple(name for _, name, _ in trained),
            colors=tuple(color for _, _, color in trained),
            raw_to_train={label_id: train_id for label_id, _, train_id, _ in LABELS},
        )
    if classes == "label_ids":
        return LabelSpace(
            names=tuple(name for _, name, _, _ in LABELS),
            colors=_unique_colors(),
            raw_to_train={label_id: label_id for label_id, _, _, _ in LABELS},
        )
    return LabelSpace(
        names=tuple(CATEGORIES),
        colors=tuple(LABELS[ids[0]][3] for ids in CATEGORIES.values()),
        raw_to_train={label_id: group for group, ids in enumerate(CATEGORIES.values()) for label_id in ids},
    )


def cityscapes(config: DataConfig) -> Dataset:
    """leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with gtFine/ or gtCoarse/SPLIT/CITY/*_labelIds.png."""
    space = label_space(class_list(config, CLASS_LISTS))
    chosen, _, extra = config.cityscapes.labels.partition("+")
    labels = FINE if chosen == "fine" else COARSE
    root = root_folder(config.root, (PHOTOS, labels, *([COARSE] if extra and labels == FINE else [])))
    lister = Lister()
    train = _pairs(lister, root, "train", labels)
    if extra:
        train += _pairs(lister, root, "train_extra", COARSE)
    return Dataset(
        label_space=space,
        reader=FileReader(IdLabels(space.raw_to_train, HINTS)),
        official={"train": train, "val": _pairs(lister, root, "val", FINE if (root / FINE).exists() else COARSE)},
        unlabelled=_test_photos(lister, root),
        unused=lister.unused,
    )


def sequence_of(stem: str) -> str:
    """Return city and sequence of a stem CITY_SEQUENCE_FRAME; empty for any other stem.

    Some cities hold a few long sequences, others many short sequences with one labelled frame each.
    """
    sequence, _, frame = stem.rpartition("_")
    return sequence if "_" in sequence and frame.isdigit() else ""


def _pairs(lister: Lister, root: Path, split: str, labels: str) -> list[Pair]:
    photo_folder, label_folder = existing_folder(root / PHOTOS / split), existing_folder(root / labels / split)
    photos = lister.by_ending(photo_folder, PHOTO_END, PHOTO_EXTENSIONS)
    files = lister.by_ending(label_folder, f"_{labels}_labelIds", LABEL_EXTENSIONS, COMPANIONS)
    pairs = lister.match(photos, files, photo_folder, label_folder)
    return [pair._replace(sequence=sequence_of(pair.name)) for pair in pairs]


def _test_photos(lister: Lister, root: Path) -> list[Path]:
    # The published label files of the test split are dummies in which every pixel is void.
    folder = root / PHOTOS / "test"
    return list(lister.by_ending(folder, PHOTO_END, PHOTO_EXTENSIONS).values()) if folder.exists() else []


def _unique_colors() -> tuple[Color, ...]:
    """Return the official colours; where labels share a colour, raise blue by 1, so that masks can be read back."""
    colors: list[Color] = []
    for _, _, _, (red, green, blue) in LABELS:
        while (red, green, blue) in colors:
            blue += 1
        colors.append((red, green, blue))
    return tuple(colors)


def _palette() -> NDArray[np.uint8]:
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(LABELS)] = [color for _, _, _, color in LABELS]
    return palette


PALETTE: Final = _palette()
"""Official colours by label id, shape (256, 3), RGB; black from 34 on."""
