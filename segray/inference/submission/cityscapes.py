"""Cityscapes, pixel-level semantic labelling: label ids at the photo's size.

These are the rules of evalPixelLevelSemanticLabeling in the official cityscapesscripts. Its ``getPrediction`` finds an
image's file by the pattern ``CITY_SEQUENCE_FRAME*.png`` at any depth, and refuses a second one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from segray.data.datasets.cityscapes import LABELS, PHOTO_END, PHOTOS
from segray.data.datasets.lister import PHOTO_EXTENSIONS, Lister
from segray.data.datasets.root import existing_folder, root_folder
from segray.errors import ConfigError
from segray.inference.prediction import label_id_table
from segray.inference.submission.benchmark import Benchmark, Encode
from segray.labels import LabelSpace

_FILE: Final = re.compile(r"(?:.*/)?([^/_]+_\d+_\d+)(?!\d)[^/]*\.png")
_NAMES: Final = {label_id: name for label_id, name, _, _ in LABELS}


def _photos(root: str, split: str) -> Mapping[str, Path]:
    folder = existing_folder(root_folder(root, (PHOTOS,)) / PHOTOS / split)
    return Lister().by_ending(folder, PHOTO_END, PHOTO_EXTENSIONS)


def _key_of(path: str) -> str | None:
    found = _FILE.fullmatch(path)
    return found[1] if found else None


def _encoder(label_space: LabelSpace) -> Encode:
    try:
        table = label_id_table(label_space)
    except ConfigError as error:
        raise ConfigError(
            f"cityscapes asks for label ids, but the model cannot tell them: {error}. Train with data.classes: "
            "train_ids (the 19 classes that are scored) or label_ids"
        ) from None
    for train_id, name in enumerate(label_space.names):
        label_id = int(table[train_id])
        if _NAMES.get(label_id) != name:
            meant = f"is {_NAMES[label_id]!r} in Cityscapes" if label_id in _NAMES else "does not exist in Cityscapes"
            raise ConfigError(
                f"cityscapes asks for its own label ids, but the model's class {name!r} has id {label_id}, which "
                f"{meant}; submit a model that was trained on cityscapes"
            )
    return lambda prediction: table[prediction.labels]


CITYSCAPES: Final = Benchmark(
    dataset="cityscapes",
    photos=_photos,
    splits=("test", "val"),
    file_name=lambda key: f"{key}_labelIds.png",
    key_of=_key_of,
    encoder=_encoder,
    needs_probabilities=False,
    values=frozenset(_NAMES),
    value_names="label ids from 0 to 33, of which 7 is road",
    modes=("L", "P"),
    next_step="upload it as pixel-level semantic labelling at https://www.cityscapes-dataset.com/submit/",
)
