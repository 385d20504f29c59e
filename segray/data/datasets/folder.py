"""Any data set that is a folder of images and a folder of labels; the config names folders and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segray.config import DataConfig, FolderConfig
from segray.data.dataset import SPLITS, Dataset, Pair
from segray.data.datasets.listing import (
    LABEL_EXTENSIONS,
    PHOTO_EXTENSIONS,
    by_stem,
    existing_folder,
    match,
    root_folder,
)
from segray.data.readers import FileReader, IdLabels
from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX, LabelSpace, distinct_colors

VOID_HINT: Final = {255: "if 255 is void, data.folder.void_ids must list it"}


def folder(config: DataConfig) -> Dataset:
    """Images and labels that share their stems, in two folders for each split, or in two for all of them."""
    layout = config.folder
    _check(layout)
    space = LabelSpace(
        names=layout.classes,
        colors=distinct_colors(len(layout.classes)),
        raw_to_train={index: index for index in range(len(layout.classes))}
        | dict.fromkeys(layout.void_ids, IGNORE_INDEX),
    )
    reader = FileReader(IdLabels(space.raw_to_train, VOID_HINT))
    root = root_folder(config.root, [_place(pattern, "train") for pattern in (layout.images, layout.labels)])
    if "{split}" not in layout.images:
        return Dataset(label_space=space, reader=reader, official={}, undivided=_pairs(root, layout))
    return Dataset(
        label_space=space,
        reader=reader,
        official={
            split: _pairs(root, layout, split)
            for split in SPLITS
            if split != "test" or (root / _place(layout.labels, split)).exists()
        },
    )


def _pairs(root: Path, layout: FolderConfig, split: str = "") -> list[Pair]:
    photo_folder = existing_folder(root / _place(layout.images, split))
    label_folder = existing_folder(root / _place(layout.labels, split))
    photos, labels = by_stem(photo_folder, PHOTO_EXTENSIONS), by_stem(label_folder, LABEL_EXTENSIONS)
    pairs = match(photos, labels, photo_folder, label_folder)
    # Stems may repeat from split to split.
    return [pair._replace(name=f"{split}/{pair.name}") for pair in pairs] if split else pairs


def _place(pattern: str, split: str) -> str:
    return pattern.replace("{split}", split)


def _check(layout: FolderConfig) -> None:
    num_classes = len(layout.classes)
    if not 1 <= num_classes <= 254:
        raise ConfigError(f"data.folder.classes must list 1 to 254 class names, but lists {num_classes}")
    if len(set(layout.classes)) != num_classes:
        raise ConfigError(f"data.folder.classes must be unique, but got {list(layout.classes)}")
    wrong = [value for value in layout.void_ids if not num_classes <= value <= 255]
    if wrong:
        raise ConfigError(
            f"data.folder.void_ids must lie from {num_classes}, the number of classes, to 255, but got {wrong}"
        )
    if ("{split}" in layout.images) != ("{split}" in layout.labels):
        raise ConfigError(
            "data.folder.images and data.folder.labels must both hold {split} or neither, "
            f"but got {layout.images!r} and {layout.labels!r}"
        )
