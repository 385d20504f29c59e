"""Any data set that is a folder of images and a folder of labels; the config names folders and classes."""

from __future__ import annotations

from pathlib import Path

from segray.config import DataConfig, FolderConfig
from segray.data.dataset import SPLITS, Dataset, Pair
from segray.data.datasets.label_ids import id_hints, id_notes, raw_to_train
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
from segray.labels import LabelSpace, distinct_colors


def folder(config: DataConfig) -> Dataset:
    """Images and labels that share their stems, in two folders for each split, or in two for all of them."""
    layout = config.folder
    _check(layout)
    table = raw_to_train(layout)
    space = LabelSpace(names=layout.classes, colors=distinct_colors(len(layout.classes)), raw_to_train=table)
    reader = FileReader(IdLabels(table, id_hints(layout)))
    notes = id_notes(layout)
    root = root_folder(config.root, [_place(pattern, "train") for pattern in (layout.images, layout.labels)])
    if "{split}" not in layout.images:
        return Dataset(label_space=space, reader=reader, official={}, undivided=_pairs(root, layout), notes=notes)
    return Dataset(
        label_space=space,
        reader=reader,
        official={
            split: _pairs(root, layout, split)
            for split in SPLITS
            if split != "test" or (root / _place(layout.labels, split)).exists()
        },
        notes=notes,
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
    if ("{split}" in layout.images) != ("{split}" in layout.labels):
        raise ConfigError(
            "data.folder.images and data.folder.labels must both hold {split} or neither, "
            f"but got {layout.images!r} and {layout.labels!r}"
        )
