"""K-Means on the colours of masks: fitted once, kept with the data set, the same for every trial and machine.

    ROOT/.segray/kmeans-K10-seed0-FINGERPRINT.json

FINGERPRINT follows from the names and sizes of the files that it was fitted on: other files have another fit. Where
ROOT cannot be written, the file lies in the folder of decoded images; where that cannot be written either, each process
fits anew, with the same result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from threadpoolctl import threadpool_limits

from segray.errors import ConfigError, DataError, StorageError
from segray.folder import Folder, open_folder
from segray.labels import Color

NUM_MASKS: Final = 200
"""Masks that a fit looks at."""

PIXELS_PER_MASK: Final = 1000
"""Pixels that it takes of each, as far as there are so many."""


class ClusterFit(BaseModel):
    """Content of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centers: tuple[tuple[int, int, int], ...]
    """RGB, distinct, in ascending order"""
    num_clusters: int
    seed: int
    fingerprint: str
    """Of the names and sizes of all files that were drawn from"""
    num_files: int
    num_masks: int
    num_pixels: int
    versions: dict[str, str]
    """Of scikit-learn and NumPy"""


def kept_clusters(
    places: Sequence[Path],
    files: Mapping[str, Path],
    read_mask: Callable[[Path], NDArray[np.uint8]],
    num_clusters: int,
    seed: int,
) -> tuple[Color, ...]:
    """The colours of the clusters: read if they are kept, else fitted and kept.

    Args:
        places: Folders to look for it in; the first of them that can be written keeps it.
        files: Those to draw masks from, by names that are the same on every machine.
        read_mask: A file's mask (height, width, 3), RGB; a DataError leaves the file out, if not all are such.
        num_clusters: K.
        seed: Of the draws and of the fit, at least 0 and below 2**32.

    Raises:
        ConfigError: K is above the number of colours, or the seed is outside its range.
        DataError: The kept file is damaged, a file cannot be looked at, or no mask can be read.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"data.pairs.kmeans_seed must be at least 0 and below 2**32, but got {seed}")
    fingerprint = _fingerprint(files)
    name = f"kmeans-K{num_clusters}-seed{seed}-{fingerprint}.json"
    folders = [open_folder(place) for place in places]
    for place in folders:
        if (kept := _read(place, name, num_clusters)) is not None:
            return kept
    fit = _fit([files[name] for name in sorted(files)], read_mask, num_clusters, seed, fingerprint)
    for place in folders:
        try:
            place.write_new_json(name, fit.model_dump(mode="json"))
        except StorageError:
            continue
        # Another process may have been faster, with other versions.
        return _read(place, name, num_clusters) or fit.centers
    return fit.centers


def fit_clusters(pixels: NDArray[np.uint8], num_clusters: int, seed: int) -> tuple[Color, ...]:
    """Centres of K-Means on colours, whole numbers, distinct, in ascending order.

    Args:
        pixels: Shape (N, 3), RGB.
        num_clusters: K.
        seed: Of the initial centres and the mini-batches.

    Raises:
        ConfigError: K is above the number of distinct colours.
    """
    num_colors = len(np.unique(pixels, axis=0))
    if not 2 <= num_clusters <= num_colors:
        raise ConfigError(
            f"data.pairs.num_clusters must be at least 2 and at most {num_colors}, the number of colours that were "
            f"found in the masks, but got {num_clusters}"
        )
    # It takes a second to import, and most processes find the centres in a file.
    from sklearn.cluster import MiniBatchKMeans

    # Threads would add up in another order on another machine.
    with threadpool_limits(limits=1):
        kmeans = MiniBatchKMeans(num_clusters, random_state=seed, n_init=10, batch_size=4096)
        centers = kmeans.fit(pixels.astype(np.float64)).cluster_centers_
    return _distinct([(red, green, blue) for red, green, blue in np.rint(centers).astype(int).clip(0, 255).tolist()])


def _distinct(centers: Sequence[Color]) -> tuple[Color, ...]:
    """The centres in ascending order; of two that rounding made equal, one moves to the nearest free blue."""
    taken: set[Color] = set()
    for red, green, blue in sorted(centers):
        free = [(red, green, value) for value in range(256) if (red, green, value) not in taken]
        taken.add(min(free, key=lambda color: abs(color[2] - blue)))
    return tuple(sorted(taken))


def _fit(
    files: Sequence[Path],
    read_mask: Callable[[Path], NDArray[np.uint8]],
    num_clusters: int,
    seed: int,
    fingerprint: str,
) -> ClusterFit:
    rng = np.random.default_rng(seed)
    order = [files[index] for index in rng.permutation(len(files))]
    masks = list(islice(_readable(order, read_mask), NUM_MASKS))
    pixels = np.concatenate([rng.permutation(mask.reshape(-1, 3))[:PIXELS_PER_MASK] for mask in masks])
    return ClusterFit(
        centers=fit_clusters(pixels, num_clusters, seed),
        num_clusters=num_clusters,
        seed=seed,
        fingerprint=fingerprint,
        num_files=len(files),
        num_masks=len(masks),
        num_pixels=len(pixels),
        versions={name: version(name) for name in ("scikit-learn", "numpy")},
    )


def _readable(files: Sequence[Path], read_mask: Callable[[Path], NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """The masks that can be read; the others are named when the data set is decoded."""
    problems: list[str] = []
    for path in files:
        try:
            yield read_mask(path)
        except DataError as error:
            problems += error.problems
    if len(problems) >= len(files):
        raise DataError(f"K-Means needs masks, but none can be read; {problems[0]}", problems)


def _read(place: Folder, name: str, num_clusters: int) -> tuple[Color, ...] | None:
    try:
        content = place.read_json(name)
        if content is None:
            return None
        centers = ClusterFit.model_validate(content).centers
    except (StorageError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise _damaged(place, name, reason) from None
    if len(set(centers)) != num_clusters or not all(0 <= value <= 255 for center in centers for value in center):
        raise _damaged(place, name, f"it must hold {num_clusters} distinct colours of 0 to 255")
    return centers


def _damaged(place: Folder, name: str, reason: str) -> DataError:
    path = place.child(name).path
    return DataError(f"{path}: cannot be used as a K-Means fit: {reason}; delete it, and it is fitted anew")


def _fingerprint(files: Mapping[str, Path]) -> str:
    try:
        content = sorted((name, path.stat().st_size) for name, path in files.items())
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
