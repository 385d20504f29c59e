"""GTA5, "Playing for Data": frames of a computer game, with the label ids of Cityscapes and a further one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.config import DataConfig
from segray.data.datasets.cityscapes import CLASS_LISTS, HINTS
from segray.data.datasets.cityscapes import PALETTE as CITYSCAPES_PALETTE
from segray.data.datasets.cityscapes import label_space as cityscapes_space
from segray.data.datasets.class_list import class_list
from segray.data.datasets.dataset import Dataset, Split
from segray.data.datasets.lister import Lister
from segray.data.datasets.root import root_folder
from segray.data.files.pair import Pair
from segray.data.files.readers import FileReader, IdLabels
from segray.errors import DataError, listed
from segray.labels import IGNORE_INDEX, LabelSpace

PHOTOS: Final = "images"
LABELS: Final = "labels"
# The last of the 35 entries in the authors' own list, `label/initLabels.m` of "Playing for Data", Richter et al., ECCV
# 2016. In Cityscapes the license plate has id -1 and is drawn into no file.
LICENSE_PLATE_ID: Final = 34
# Names only count the frames, in the order of their recording.
BLOCK: Final = 50
SPLIT_FILES: Final = ("split.mat", "read_mapping/split.mat")
_MAT_KEYS: Final[dict[Split, str]] = {"train": "trainIds", "val": "valIds", "test": "testIds"}


def label_space(classes: str = "train_ids") -> LabelSpace:
    """Return Cityscapes' classes; license plates are void, or part of the category `vehicle`."""
    space = cityscapes_space(classes)
    plate = space.names.index("vehicle") if classes == "categories" else IGNORE_INDEX
    return space.model_copy(update={"raw_to_train": {**space.raw_to_train, LICENSE_PLATE_ID: plate}})


def gta5(config: DataConfig) -> Dataset:
    """images/NNNNN.png with labels/NNNNN.png, divided by split.mat where that file is there."""
    space = label_space(class_list(config, CLASS_LISTS))
    root = root_folder(config.root, (PHOTOS, LABELS))
    lister = Lister()
    photos, labels = lister.photos(root / PHOTOS), lister.labels(root / LABELS)
    pairs = lister.match(photos, labels, root / PHOTOS, root / LABELS)
    pairs = [pair._replace(sequence=sequence_of(pair.name)) for pair in pairs]
    mat = next((root / name for name in SPLIT_FILES if (root / name).exists()), None)
    return Dataset(
        label_space=space,
        reader=FileReader(IdLabels(space.raw_to_train, HINTS)),
        official=_divide(pairs, mat) if mat else {},
        undivided=[] if mat else pairs,
        unused=lister.unused,
    )


def sequence_of(stem: str) -> str:
    """Return the block of neighbouring numbers that a stem of digits lies in; empty for any other stem."""
    return f"block {int(stem) // BLOCK}" if stem.isdecimal() else ""


def _divide(pairs: list[Pair], mat: Path) -> dict[Split, list[Pair]]:
    splits = _read_splits(mat)
    nowhere = [str(pair.photo) for pair in pairs if pair.name not in splits]
    if nowhere:
        raise DataError(
            f"{mat} must put every image into a split, but does not name {len(nowhere)} of them; move the file away to "
            f"divide the images by seed:{listed(nowhere)}",
            [f"{photo}: is in no split of {mat}" for photo in nowhere],
        )
    return {split: [pair for pair in pairs if splits[pair.name] == split] for split in _MAT_KEYS}


def _read_splits(mat: Path) -> dict[str, Split]:
    """Return name of an image -> its split."""
    # SciPy is slow to import, and most data sets do not need it.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(mat)
        numbers = {split: content[key].ravel().tolist() for split, key in _MAT_KEYS.items()}
        return {f"{int(number):05d}": split for split, listed_here in numbers.items() for number in listed_here}
    except (MatReadError, OSError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        # loadmat raises these on damaged files, and NotImplementedError on files of MATLAB 7.3, which are HDF5.
        raise DataError(
            f"{mat}: cannot be read as the split of GTA5, which holds {', '.join(_MAT_KEYS.values())}: {error}"
        ) from None


def _palette() -> NDArray[np.uint8]:
    palette = CITYSCAPES_PALETTE.copy()
    palette[LICENSE_PLATE_ID] = (0, 0, 142)
    return palette


PALETTE: Final = _palette()
"""Official colours by label id, shape (256, 3), RGB; black from 35 on."""
