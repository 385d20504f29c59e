"""Cityscapes in its official layout: 19 classes for training and evaluation, the other 15 label ids void."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segray.config import DataConfig
from segray.data.dataset import Dataset, Pair, Split
from segray.data.datasets.listing import contents, existing_folder, match, root_folder
from segray.data.readers import FileReader, IdLabels
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

PHOTO_SUFFIX: Final = "_leftImg8bit.png"
LABEL_SUFFIX: Final = "_gtFine_labelIds.png"


def label_space() -> LabelSpace:
    """The 19 classes in training-id order; raw values are label ids."""
    trained = sorted((train_id, name, color) for _, name, train_id, color in LABELS if train_id != IGNORE_INDEX)
    return LabelSpace(
        names=tuple(name for _, name, _ in trained),
        colors=tuple(color for _, _, color in trained),
        raw_to_train={label_id: train_id for label_id, _, train_id, _ in LABELS},
    )


def cityscapes(config: DataConfig) -> Dataset:
    """leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with gtFine/SPLIT/CITY/*_gtFine_labelIds.png."""
    root, space = root_folder(config.root), label_space()
    return Dataset(
        label_space=space,
        reader=FileReader(IdLabels(space.raw_to_train)),
        official={"train": _pairs(root, "train"), "val": _pairs(root, "val")},
    )


def _pairs(root: Path, split: Split) -> list[Pair]:
    photo_folder = existing_folder(root / "leftImg8bit" / split)
    label_folder = existing_folder(root / "gtFine" / split)
    photos, labels = _by_name(photo_folder, PHOTO_SUFFIX), _by_name(label_folder, LABEL_SUFFIX)
    return match(photos, labels, photo_folder, label_folder)


def _by_name(folder: Path, suffix: str) -> dict[str, Path]:
    return {path.name.removesuffix(suffix): path for path in contents(contents([folder])) if path.name.endswith(suffix)}
