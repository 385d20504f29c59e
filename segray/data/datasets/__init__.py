"""One file per data set; a new one is its file and its line in DATASETS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from segray.config import DataConfig
from segray.data.datasets.camvid import CamVid
from segray.data.datasets.cityscapes import Cityscapes
from segray.data.datasets.folder import Folder
from segray.data.datasets.pairing import SPLITS, Dataset, Pair, Split
from segray.errors import ConfigError, unknown_name

__all__ = ["DATASETS", "SPLITS", "Dataset", "Pair", "Split", "open_dataset"]

DATASETS: Final[dict[str, Callable[[DataConfig], Dataset]]] = {
    "cityscapes": Cityscapes,
    "camvid": CamVid,
    "folder": Folder,
}


def dataset_kind(name: str) -> Callable[[DataConfig], Dataset]:
    """What makes a config into the data set of that name.

    Raises:
        ConfigError: There is no such data set.
    """
    if name not in DATASETS:
        raise ConfigError(unknown_name("data set", name, DATASETS))
    return DATASETS[name]


def open_dataset(config: DataConfig) -> Dataset:
    """The data set that a config names.

    Raises:
        ConfigError: The name is unknown, or the config lacks what the data set needs.
        DataError: Its folder does not exist.
    """
    return dataset_kind(config.dataset)(config)
