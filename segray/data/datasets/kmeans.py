"""K-Means on the colours of masks: fitted once and stored with the data set, the same for every trial and machine.

    ROOT/.segray/kmeans-K10-seed0-FINGERPRINT.json

FINGERPRINT is a hash of the names and sizes of the files that the clusters were fitted on, so other files get another
fit. If ROOT cannot be written, the file lies in the folder of decoded images; if neither can be written, each process
fits the clusters itself, with the same result.
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
"""Most masks that a fit uses."""

PIXELS_PER_MASK: Final = 1000
"""Most pixels that a fit draws from each mask."""


class ClusterFit(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centers: tuple[tuple[int, int, int], ...]
    """RGB, distinct, in ascending order"""
    num_clusters: int
    seed: int
    fingerprint: str
    """Hash of the names and sizes of all files that masks were drawn from"""
    num_files: int
    num_masks: int
    num_pixels: int
    versions: dict[str, str]
    """Versions of scikit-learn and NumPy"""


def kept_clusters(
    places: Sequence[Path],
    files: Mapping[str, Path],
    read_mask: Callable[[Path], NDArray[np.uint8]],
    num_clusters: int,
    seed: int,
) -> tuple[Color, ...]:
    """Return the colours of the clusters: read them if they are stored, else fit and store them.

    Args:
        places: Folders in which the fit may be stored; a new fit goes into the first that can be written.
        files: Files to draw masks from, by names that are the same on every machine.
        read_mask: Reads a file's mask (height, width, 3), RGB. A file that raises DataError is left out, unless all do.
        num_clusters: K.
        seed: Seed of the draws and of the fit, at least 0 and below 2**32.

    Raises:
        ConfigError: K is above the number of colours, or the seed is outside its range.
        DataError: The stored fit is damaged, the size of a file cannot be read, or no mask can be read.
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
        # Another process may have been faster, with other versions: all must use the fit that is stored.
        return _read(place, name, num_clusters) or fit.centers
    return fit.centers


def fit_clusters(pixels: NDArray[np.uint8], num_clusters: int, seed: int) -> tuple[Color, ...]:
    """Return the centres of K-Means on colours: whole numbers, distinct, in ascending order.

    Args:
        pixels: Shape (N, 3), RGB.
        num_clusters: K.
        seed: Seed of the initial centres and the mini-batches.

    Raises:
        ConfigError: K is above the number of distinct colours.
    """
    num_colors = len(np.unique(pixels, axis=0))
    if not 2 <= num_clusters <= num_colors:
        raise ConfigError(
            f"data.pairs.num_clusters must be at least 2 and at most {num_colors}, the number of colours that were "
            f"found in the masks, but got {num_clusters}"
        )
    # scikit-learn takes a second to import, and most processes find the centres in a file.
    from sklearn.cluster import MiniBatchKMeans

    # Several threads would add the numbers up in another order on another machine.
    with threadpool_limits(limits=1):
        kmeans = MiniBatchKMeans(num_clusters, random_state=seed, n_init=10, batch_size=4096)
        centers = kmeans.fit(pixels.astype(np.float64)).cluster_centers_
    return _make_distinct(
        [(red, green, blue) for red, green, blue in np.rint(centers).astype(int).clip(0, 255).tolist()]
    )


def _make_distinct(centers: Sequence[Color]) -> tuple[Color, ...]:
    """Return the centres in ascending order; if rounding made two equal, move one of them to the nearest free blue."""
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
    masks = list(islice(_read_masks(order, read_mask), NUM_MASKS))
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


def _read_masks(files: Sequence[Path], read_mask: Callable[[Path], NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Yield the masks that can be read; decoding the data set will name the others."""
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
        raise _damage_error(place, name, reason) from None
    if len(set(centers)) != num_clusters or not all(0 <= value <= 255 for center in centers for value in center):
        raise _damage_error(place, name, f"it must hold {num_clusters} distinct colours of 0 to 255")
    return centers


def _damage_error(place: Folder, name: str, reason: str) -> DataError:
    path = place.child(name).path
    return DataError(f"{path}: cannot be used as a K-Means fit: {reason}; delete the file to fit the clusters again")


def _fingerprint(files: Mapping[str, Path]) -> str:
    try:
        content = sorted((name, path.stat().st_size) for name, path in files.items())
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
