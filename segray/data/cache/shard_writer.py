"""Writes shards; the module `shards` describes their files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.cache.shards import (
    JUDGED,
    JUDGED_COUNTS,
    LABELS,
    NUM_ANCHORS,
    PHOTOS,
    first_pixels,
    index_hash,
    pixel_files,
)
from segray.files import sync

ANCHOR_STRIDE: Final = 4
"""Anchors come from every fourth row and column; only a class that has no pixel there is searched everywhere."""


class Tally(NamedTuple):
    """Facts about a label that a shard stores besides its pixels."""

    counts: NDArray[np.int64]
    """Pixels of each class, shape (classes,)"""
    anchors: NDArray[np.int32]
    """Positions of some pixels of each class, shape (classes, 8)"""
    judged_counts: NDArray[np.int64]
    """Pixels of each class that predictions are judged by, shape (judged classes,); empty if these are the classes"""


@dataclass(frozen=True)
class PixelFiles:
    """The pixel files of a shard that is being written, from any thread of any process."""

    folder: Path
    sizes: NDArray[np.int64]
    """(images, 2): height and width"""
    num_classes: int
    num_judged_classes: int
    """Number of classes that predictions are judged by, or 0 if these are the classes of the labels"""
    has_pixels: bool
    """Whether photos and labels are stored"""

    @property
    def has_judged(self) -> bool:
        """Whether predictions are judged by other ids than those of the labels."""
        return self.num_judged_classes > 0

    def create(self) -> None:
        """Make the files at their full size.

        Raises:
            OSError: The disk has no room, or cannot hold files of that size.
        """
        num_pixels = int(self.sizes.prod(axis=1).sum())
        for name, depth in pixel_files(has_judged=self.has_judged).items():
            with (self.folder / name).open("wb") as file:
                file.truncate(depth * num_pixels)
                if num_pixels and hasattr(os, "posix_fallocate"):  # macOS has none
                    os.posix_fallocate(file.fileno(), 0, depth * num_pixels)

    def write(self, index: int, photo: NDArray[np.uint8], label: NDArray[np.uint8], judged: NDArray[np.uint8]) -> Tally:
        """Write one image.

        Args:
            index: Position of the image.
            photo: RGB, (height, width, 3).
            label: Training ids, (height, width).
            judged: The ids that predictions are judged by, (height, width); not used unless `has_judged`.
        """
        if self.has_pixels:
            arrays = {PHOTOS: photo, LABELS: label, JUDGED: judged}
            start = int(first_pixels(self.sizes)[index])
            # Written, not mapped: on a full disk, a write raises an error, but a mapped page would kill the process.
            for name, depth in pixel_files(has_judged=self.has_judged).items():
                with (self.folder / name).open("r+b") as file:
                    file.seek(depth * start)
                    file.write(np.ascontiguousarray(arrays[name]).data)
        counts = _histogram(label)[: self.num_classes]
        judged_counts = _histogram(judged)[: self.num_judged_classes] if self.has_judged else np.zeros(0, np.int64)
        return Tally(counts, _anchors(label, counts, np.random.default_rng(index)), judged_counts)


class ShardWriter:
    """Writes a shard, in any order of its images, whose sizes must be known.

    Either threads call `put`; or threads or processes write by `files`, as `build` does, and one of them passes the
    results to `add`.

    Args:
        folder: The shard's folder, which is made here.
        names: Names of the images.
        sizes: (height, width) of each image.
        num_classes: Number of training classes.
        num_judged_classes: Number of classes that predictions are judged by, or 0 if these are the training classes.
        has_pixels: Whether photos and labels are stored.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        sizes: Sequence[SizePx],
        num_classes: int,
        *,
        num_judged_classes: int = 0,
        has_pixels: bool = True,
    ) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._names = list(names)
        sizes_N2 = np.array(sizes, dtype=np.int64).reshape(-1, 2)  # (0, 2) where there are none
        self.files = PixelFiles(folder, sizes_N2, num_classes, num_judged_classes, has_pixels)
        self._counts = np.zeros((len(self._names), num_classes), dtype=np.int64)
        self._anchors = np.full((len(self._names), num_classes, NUM_ANCHORS), -1, dtype=np.int32)
        self._judged_counts = np.zeros((len(self._names), num_judged_classes), dtype=np.int64)
        if has_pixels:
            self.files.create()

    def put(
        self, index: int, photo: NDArray[np.uint8], label: NDArray[np.uint8], judged: NDArray[np.uint8] | None = None
    ) -> None:
        """Write one image as `files.write` does, and add it to the index."""
        self.add(index, self.files.write(index, photo, label, label if judged is None else judged))

    def add(self, index: int, tally: Tally) -> None:
        """Add the result of `files.write` for an image to the index."""
        self._counts[index], self._anchors[index], self._judged_counts[index] = tally

    def flush(self) -> None:
        """Wait until the pixels written so far are on the disk; if called now and then, it shortens `finish`."""
        for path in self._folder.glob("*.bin"):
            sync(path)

    def finish(self, decode_seconds: float = 0.0, turned: Sequence[str] = ()) -> None:
        """Write the index, and wait until all files are on the disk, where they survive a power cut.

        Args:
            decode_seconds: Average CPU time for decoding an image.
            turned: Names of the images whose photo is turned by EXIF, but not its label.
        """
        np.save(self._folder / "counts.npy", self._counts)
        np.save(self._folder / "anchors.npy", self._anchors)
        if self.files.has_judged:
            np.save(self._folder / JUDGED_COUNTS, self._judged_counts)
        index: dict[str, object] = {
            "names": self._names,
            "sizes": self.files.sizes.tolist(),
            "turned": list(turned),
            "has_truth": self.files.has_judged,
            "has_pixels": self.files.has_pixels,
            "decode_seconds": decode_seconds,
        }
        index["hash"] = index_hash(self._folder, index)
        (self._folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
        for path in (*self._folder.iterdir(), self._folder):
            sync(path)


def _histogram(label: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count each value, shape (256,)."""
    flat = label.ravel()
    changes = flat[1:] != flat[:-1]
    if 8 * np.count_nonzero(changes) > flat.size:
        return np.bincount(flat, minlength=256)
    # Labels are long runs of one value; adding up the lengths of runs takes a fifth of the time of counting pixels.
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    lengths = np.diff(starts, append=flat.size)
    return np.bincount(flat[starts], weights=lengths, minlength=256).astype(np.int64)


def _anchors(label: NDArray[np.uint8], counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int32]:
    """Return flat positions of some pixels of each class, -1 for classes that the label lacks; shape (classes, 8)."""
    anchors = np.full((len(counts), NUM_ANCHORS), -1, dtype=np.int32)
    coarse = np.ascontiguousarray(label[::ANCHOR_STRIDE, ::ANCHOR_STRIDE])
    by_class = np.argsort(coarse.ravel(), kind="stable")
    ends = np.cumsum(_histogram(coarse))
    for class_id in np.flatnonzero(counts).tolist():
        found = by_class[ends[class_id - 1] if class_id else 0 : ends[class_id]]
        if len(found):
            rows, columns = np.divmod(rng.choice(found, NUM_ANCHORS), coarse.shape[1])
            anchors[class_id] = (rows * label.shape[1] + columns) * ANCHOR_STRIDE
        else:
            anchors[class_id] = rng.choice(np.flatnonzero(label == class_id), NUM_ANCHORS)
    return anchors
