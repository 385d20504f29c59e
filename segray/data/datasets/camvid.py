"""CamVid as published with SegNet: 11 classes, in folders train, trainannot, val, valannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from segray.config import DataConfig, FolderConfig
from segray.data.dataset import Dataset
from segray.data.datasets.folder import folder
from segray.labels import Color

# Ids and colours of the 11-class version: Badrinarayanan, Kendall and Cipolla, "SegNet", PAMI 2017.
CLASSES: Final[dict[str, Color]] = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (60, 40, 222),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}
VOID_ID: Final = 11


def camvid(config: DataConfig) -> Dataset:
    """The `folder` data set with CamVid's layout, classes and colours."""
    layout = FolderConfig(images="{split}", labels="{split}annot", classes=tuple(CLASSES), void_ids=(VOID_ID,))
    dataset = folder(config.model_copy(update={"folder": layout}))
    space = dataset.label_space.model_copy(update={"colors": tuple(CLASSES.values())})
    return replace(dataset, label_space=space)
