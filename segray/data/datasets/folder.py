"""Any data set that is a folder of images and a folder of labels; the config names folders and classes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from segray.config import DataConfig, FolderConfig
from segray.data.datasets.pairing import Pair, Split, contents, existing_folder, match, root_folder
from segray.errors import ConfigError, DataError, listed
from segray.labels import IGNORE_INDEX, LabelSpace, distinct_colors

PHOTO_EXTENSIONS: Final = frozenset({".png", ".jpg", ".jpeg"})
LABEL_EXTENSIONS: Final = frozenset({".png"})


class Folder:
    """Images and labels that share their stems, in two folders for each split or split by a seeded ratio."""

    def __init__(self, config: DataConfig) -> None:
        _check(config.folder)
        self._layout = config.folder
        self._root = root_folder(config.root)
        names = config.folder.classes
        self.label_space = LabelSpace(
            names=names,
            colors=distinct_colors(len(names)),
            raw_to_train={index: index for index in range(len(names))}
            | dict.fromkeys(config.folder.void_ids, IGNORE_INDEX),
        )

    def pairs(self, split: Split) -> list[Pair]:
        """Every photo of a split with its label, by name.

        Raises:
            DataError: A folder is missing or empty, or a photo or a label lacks its partner.
        """
        photo_folder = existing_folder(self._root / self._layout.images.replace("{split}", split))
        label_folder = existing_folder(self._root / self._layout.labels.replace("{split}", split))
        photos, labels = _by_stem(photo_folder, PHOTO_EXTENSIONS), _by_stem(label_folder, LABEL_EXTENSIONS)
        pairs = match(photos, labels, photo_folder, label_folder)
        if "{split}" in self._layout.images:
            return pairs
        return _share(pairs, split, self._layout)


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


def _by_stem(folder: Path, extensions: frozenset[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    twice = []
    for path in contents([folder]):
        if path.suffix.lower() in extensions:
            if path.stem in files:
                twice.append(f"{files[path.stem]} and {path.name}")
            files[path.stem] = path
    if twice:
        raise DataError(f"a stem must occur once in a folder, but these occur twice:{listed(twice)}")
    return files


def _share(pairs: list[Pair], split: Split, layout: FolderConfig) -> list[Pair]:
    """The split's part: by rank of a hash of seed and name, so neither file order nor a new file moves the others."""
    if len(pairs) < 2:
        raise DataError(f"a split by ratio needs at least 2 images, but there is {len(pairs)}: {pairs[0].photo}")
    num_val = min(max(round(len(pairs) * layout.val_ratio), 1), len(pairs) - 1)
    ranked = sorted(pairs, key=lambda pair: hashlib.sha256(f"{layout.split_seed}/{pair.name}".encode()).digest())
    return sorted(ranked[:num_val] if split == "val" else ranked[num_val:])
