"""Photos to compare exports on, and to calibrate int8 with: those given, else the model's own validation images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.config import RunConfig
from segray.data.cache.fingerprint import listing
from segray.data.files.photo import photo_array
from segray.data.splits.division import divide
from segray.errors import ConfigError, SegrayError
from segray.foreign import in_short
from segray.inference.inputs import find_inputs
from segray.inference.location import ModelLocation
from segray.inference.shots import ReadPhoto


class FoundPhotos(NamedTuple):
    """Real photos, and where they come from."""

    arrays: list[NDArray[np.uint8]]
    """RGB, (1, 3, H, W)"""
    source: str
    """In words, such as ``4 validation photos``"""


def find_photos(given: Sequence[Path], config: RunConfig, location: ModelLocation, limit: int) -> FoundPhotos:
    """Return photos: those given; else of the validation split; else the samples that the sweep kept.

    Args:
        given: Photos, folders of photos, and patterns.
        config: The run's config, which names the data set.
        location: Where the model was found.
        limit: Most photos to read, evenly spread.

    Raises:
        ConfigError: The data set is not at hand, and the sweep has no samples.
        DataError: A given photo or folder is not there, or cannot be read.
    """
    if given:
        files = _spread([file.path for file in find_inputs(given)], limit)
        return FoundPhotos(_read(files), f"{len(files)} given photos")
    try:
        files, read_photo = _validation_files(config)
        files = _spread(files, limit)
        return FoundPhotos(_read(files, read_photo), f"{len(files)} validation photos")
    except SegrayError as error:
        why = in_short(error)
    files = _spread(_samples(location), limit)
    if not files:
        raise ConfigError(
            "an export is compared with PyTorch on real photos, but the model's data set is not at hand "
            f"({why}); name photos with --photos, or the data set's folder with --data"
        )
    return FoundPhotos(_read(files), f"{len(files)} sample photos of the sweep")


def _validation_files(config: RunConfig) -> tuple[list[Path], ReadPhoto]:
    dataset, _, _ = listing(config.data)
    return [pair.photo for pair in divide(dataset, config.data)["val"]], dataset.reader.read_photo


def _samples(location: ModelLocation) -> list[Path]:
    folder = location.sweep.folder if location.sweep else None
    if folder is None or not folder.is_local:
        return []
    return sorted((Path(folder.path) / "samples").glob("*_photo.png"))


def _spread(files: Sequence[Path], limit: int) -> list[Path]:
    if len(files) <= limit:
        return list(files)
    return [files[round(index * (len(files) - 1) / max(limit - 1, 1))] for index in range(limit)]


def _read(files: Sequence[Path], read_photo: ReadPhoto = photo_array) -> list[NDArray[np.uint8]]:
    return [np.ascontiguousarray(read_photo(file).transpose(2, 0, 1)[None]) for file in files]
