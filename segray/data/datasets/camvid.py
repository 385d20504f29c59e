"""CamVid as published with SegNet: 11 classes, in folders train, trainannot, val, valannot."""

from __future__ import annotations

from typing import Final

from segray.config import DataConfig, FolderConfig
from segray.data.datasets.folder import Folder
from segray.data.datasets.pairing import Pair, Split
from segray.labels import Color, LabelSpace

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


class CamVid:
    """The `folder` data set with CamVid's layout, classes and colours."""

    def __init__(self, config: DataConfig) -> None:
        layout = FolderConfig(images="{split}", labels="{split}annot", classes=tuple(CLASSES), void_ids=(VOID_ID,))
        self._folder = Folder(config.model_copy(update={"folder": layout}))
        self.label_space: LabelSpace = self._folder.label_space.model_copy(update={"colors": tuple(CLASSES.values())})

    def pairs(self, split: Split) -> list[Pair]:
        """Every photo of a split with its label, by name.

        Raises:
            DataError: A folder is missing or empty, or a photo or a label lacks its partner.
        """
        return self._folder.pairs(split)
