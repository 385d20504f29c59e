"""The data sets, one file each; a new data set is a new file and a line in DATASETS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from segray.config import DataConfig
from segray.data.datasets.camvid import camvid
from segray.data.datasets.carla import carla
from segray.data.datasets.cityscapes import cityscapes
from segray.data.datasets.cityscapes_pairs import cityscapes_pairs
from segray.data.datasets.dataset import Dataset
from segray.data.datasets.folder import folder
from segray.data.datasets.gta5 import gta5
from segray.data.datasets.kitti_road import kitti_road
from segray.data.datasets.train_a import train_a
from segray.errors import ConfigError, unknown_name

DATASETS: Final[dict[str, Callable[[DataConfig], Dataset]]] = {
    "cityscapes": cityscapes,
    "cityscapes_pairs": cityscapes_pairs,
    "camvid": camvid,
    "carla": carla,
    "kitti_road": kitti_road,
    "gta5": gta5,
    "trainA": train_a,
    "folder": folder,
}

WITHOUT_PALETTE: Final = frozenset({"folder"})
"""Data sets without colours of their own, on which a model that paints label images has nothing to learn."""

BENCHMARK_OF: Final[dict[str, str]] = {
    "cityscapes": "cityscapes",
    "gta5": "cityscapes",
    "kitti_road": "kitti_road",
    "carla": "lyft",
}
"""Data set -> benchmark whose own scores an evaluation adds; others have none."""


def dataset_kind(name: str) -> Callable[[DataConfig], Dataset]:
    """Return the function that opens the data set of that name from a config.

    Raises:
        ConfigError: There is no such data set.
    """
    if name not in DATASETS:
        raise ConfigError(unknown_name("data set", name, DATASETS))
    return DATASETS[name]


def open_dataset(config: DataConfig) -> Dataset:
    """Open the data set that a config names, without the images that the config excludes.

    Raises:
        ConfigError: A name is unknown, or the config lacks what the data set needs.
        DataError: A folder is missing or empty, or a photo or a label lacks its partner.
    """
    dataset = list_dataset(config)
    dataset.check_whole()
    return dataset


def list_dataset(config: DataConfig) -> Dataset:
    """Open a data set as `open_dataset` does, but keep the photos and labels that lack their partner.

    Raises:
        ConfigError: A name is unknown, or the config lacks what the data set needs.
        DataError: A folder is missing or empty.
    """
    return dataset_kind(config.dataset)(config).without(config.exclude)
