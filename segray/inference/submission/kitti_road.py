"""KITTI Road: the confidence of road at every pixel, seen from the camera.

The benchmark scores bird's-eye maps, which its development kit makes of these files: ``transform2BEV.py`` finds the
calibration of ``um_road_000000.png`` in ``testing/calib/um_000000.txt``. See Fritsch, Kuehnl and Geiger, "A New
Performance Measure and Evaluation Benchmark for Road Detection Algorithms", ITSC 2013.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.kitti_road import TEST_PHOTOS
from segray.data.datasets.lister import Lister
from segray.data.datasets.root import root_folder
from segray.errors import ConfigError, DataError
from segray.inference.prediction import Prediction
from segray.inference.submission.benchmark import Benchmark, Encode
from segray.labels import LabelSpace

ROAD: Final = "road"
_PHOTO: Final = re.compile(r"(umm?|uu)_(\d+)")
_FILE: Final = re.compile(r"(umm?|uu)_road_(\d+)\.png")


def _photos(root: str, split: str) -> Mapping[str, Path]:  # noqa: ARG001 - there is one split
    folder = root_folder(root)
    if not (folder / TEST_PHOTOS).exists() and (folder / "data_road" / TEST_PHOTOS).exists():
        folder /= "data_road"
    photos = Lister().photos(root_folder(str(folder), (TEST_PHOTOS,)) / TEST_PHOTOS)
    for name, path in photos.items():
        if not _PHOTO.fullmatch(name):
            raise DataError(f"{path}: the photos of KITTI Road are called um_, umm_ or uu_ and a number; remove others")
    return photos


def _key_of(path: str) -> str | None:
    found = _FILE.fullmatch(path)
    return f"{found[1]}_{found[2]}" if found else None


def _encoder(label_space: LabelSpace) -> Encode:
    if ROAD not in label_space.names:
        raise ConfigError(
            f"kitti_road asks for the confidence of a class {ROAD!r}, but the model has "
            f"{', '.join(label_space.names)}; train on kitti_road"
        )
    train_id = label_space.names.index(ROAD)

    def encode(prediction: Prediction) -> NDArray[np.uint8]:
        assert prediction.probabilities is not None
        confidence: NDArray[np.uint8] = np.rint(255 * prediction.probabilities[train_id]).astype(np.uint8)
        return confidence

    return encode


KITTI_ROAD: Final = Benchmark(
    dataset="kitti_road",
    photos=_photos,
    splits=("test",),
    file_name=lambda key: _PHOTO.sub(r"\1_road_\2.png", key),
    key_of=_key_of,
    encoder=_encoder,
    needs_probabilities=True,
    values=frozenset(range(256)),
    value_names="confidences from 0 to 255",
    next_step=(
        "the benchmark scores bird's-eye maps: unzip it, run transform2BEV.py of the development kit on the files with "
        "testing/calib, and upload a zip of its results at https://www.cvlibs.net/datasets/kitti/eval_road.php"
    ),
)
