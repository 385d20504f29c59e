"""KITTI Road: road or not road, in colours. What is outside the evaluated area is void; the test labels are secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from segray.config import DataConfig
from segray.data.datasets.class_list import class_list
from segray.data.datasets.dataset import Dataset
from segray.data.datasets.lister import Lister, by_name
from segray.data.datasets.root import existing_folder, root_folder
from segray.data.datasets.sequences import block
from segray.data.files.pair import MISSING, Pair
from segray.data.files.readers import ColorLabels, FileReader
from segray.errors import DataError, listed
from segray.labels import IGNORE_INDEX, Color, LabelSpace

# Colours of the label files: readme of the road development kit; Fritsch, Kuehnl and Geiger, "A New Performance
# Measure and Evaluation Benchmark for Road Detection Algorithms", ITSC 2013.
CLASSES: Final[dict[str, Color]] = {"not road": (255, 0, 0), "road": (255, 0, 255)}
NOT_EVALUATED: Final[Color] = (0, 0, 0)
PHOTOS: Final = "training/image_2"
LABELS: Final = "training/gt_image_2"
TEST_PHOTOS: Final = "testing/image_2"
BLOCK: Final = 10
_ROAD_STEM: Final = re.compile(r"(umm?|uu)_road_(\d+)")
_LANE_STEM: Final = re.compile(r"(umm?|uu)_lane_(\d+)")


def kitti_road(config: DataConfig) -> Dataset:
    """training/image_2/um_*.png (umm, uu) with training/gt_image_2/um_road_*.png; testing/image_2 has no labels."""
    class_list(config, ("road",))
    root = _root(config.root)
    train_ids = {color: train_id for train_id, color in enumerate(CLASSES.values())}
    lister, test_photos = Lister(), root / TEST_PHOTOS
    return Dataset(
        label_space=LabelSpace(names=tuple(CLASSES), colors=tuple(CLASSES.values())),
        reader=FileReader(ColorLabels(train_ids | {NOT_EVALUATED: IGNORE_INDEX})),
        official={},
        undivided=_pairs(lister, root),
        split_sizes=(0.8, 0.2, 0.0),
        unlabelled=tuple(lister.photos(test_photos).values()) if os.path.lexists(test_photos) else (),
        unused=lister.unused,
    )


def _root(root: str) -> Path:
    """Return the folder that holds training/: data.root, or data_road in it."""
    folder = root_folder(root)
    inner = folder / "data_road"
    if os.path.lexists(inner) and not os.path.lexists(folder / "training"):
        return root_folder(str(inner), (PHOTOS, LABELS))
    return root_folder(root, (PHOTOS, LABELS))


def _pairs(lister: Lister, root: Path) -> list[Pair]:
    photo_folder, label_folder = existing_folder(root / PHOTOS), existing_folder(root / LABELS)
    photos, files = lister.photos(photo_folder), lister.labels(label_folder)
    lanes = {_LANE_STEM.sub(r"\1_\2", stem): path for stem, path in files.items() if _LANE_STEM.fullmatch(stem)}
    roads = ((stem, path) for stem, path in files.items() if not _LANE_STEM.fullmatch(stem))
    labels = by_name(roads, lambda stem: _ROAD_STEM.sub(r"\1_\2", stem))
    pairs = lister.match(photos, labels, photo_folder, label_folder)
    _check_lanes([pair for pair in pairs if pair.label == MISSING], lanes)
    # A sequence holds the same numbers of all categories (um, umm, uu), so that every split has its share of each.
    return [pair._replace(sequence=block(pair.name.rpartition("_")[2], BLOCK)) for pair in pairs]


def _check_lanes(unlabelled: Sequence[Pair], lanes: Mapping[str, Path]) -> None:
    alone = [pair for pair in unlabelled if pair.name in lanes]
    if alone:
        raise DataError(
            f"{len(alone)} images without a label have a lane mask, such as {lanes[alone[0].name].name}; a lane mask "
            "marks the ego lane, not the road, and cannot replace the road mask:"
            f"{listed([str(pair.photo) for pair in alone])}",
            [f"{pair.photo}: has no road mask, only {lanes[pair.name].name} of the ego lane" for pair in alone],
        )
