"""Cityscapes as photo and colour mask side by side in one JPEG: Kaggle's "cityscapes-image-pairs", pix2pix.

JPEG blurs the colours of a mask, so a pixel's class is that of the nearest colour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segray.config import DataConfig
from segray.data.cache_location import cache_location
from segray.data.datasets.dataset import Dataset, Split
from segray.data.datasets.lister import Lister
from segray.data.datasets.pairs_clusters import clusters
from segray.data.datasets.pairs_reader import PairsReader, PaletteLabels, palette_space
from segray.data.datasets.root import existing_split, marker, root_folder
from segray.data.datasets.scoring import by_classes_of_training
from segray.data.files.pair import Pair

INNER_FOLDER: Final = "cityscapes_data"
"""The folder of Kaggle's archive that holds train and val."""

PUBLISHED_SIZES: Final = (0.64, 0.16, 0.20)
"""Shares into which the published K-Means system divides all images."""


def cityscapes_pairs(config: DataConfig) -> Dataset:
    """train/*.jpg and val/*.jpg; `data.pairs` says how their masks become labels."""
    root = _root(config.root)
    lister = Lister()
    official: dict[Split, list[Pair]] = {"train": _pairs(lister, root, "train"), "val": _pairs(lister, root, "val")}
    space, reader = palette_space(), PairsReader(PaletteLabels(config.pairs.max_distance))
    scoring = by_classes_of_training(space)
    if config.pairs.labels == "kmeans":
        space, reader, scoring = clusters(config.pairs, official["train"], (root / ".segray", cache_location(config)))
    return Dataset(
        label_space=space,
        reader=reader,
        official=official,
        split_sizes=PUBLISHED_SIZES,
        own_scoring=scoring,
        unused=lister.unused,
    )


def _root(root: str) -> Path:
    folder = root_folder(root)
    inner = folder / INNER_FOLDER
    if not (folder / "train").exists() and inner.exists():
        folder = inner
    return root_folder(str(folder), [marker(folder, "{split}", split) for split in ("train", "val")])


def _pairs(lister: Lister, root: Path, split: Split) -> list[Pair]:
    folder = existing_split(root, "{split}", split)
    files = lister.photos(folder)
    return [pair._replace(name=f"{split}/{pair.name}") for pair in lister.match(files, files, folder, folder)]
