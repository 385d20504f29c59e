"""The decoded images of a data set in flat files, mapped into memory.

    FOLDER/
      photos.bin    uint8 RGB, HWC, one photo after the other
      labels.bin    uint8 training ids (255 void), HW, in the same order
      truth.bin     the same with the ids that predictions are judged by, where these are not the training ids
      counts.npy    (images, classes) int64: pixels of each class
      anchors.npy   (images, classes, 8) int32: some pixels of each class, row by row; -1 where the image has none
      index.json    names and sizes

Every process on a node maps the same pages of the page cache; a random crop touches only its own rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.dataset import Images
from segray.errors import DataError

BYTES_PER_PIXEL: Final = 4
"""Three for the photo, one for the label; the truth, where there is one, takes one more."""

NUM_ANCHORS: Final = 8
"""Pixels kept of each class of an image."""

ANCHOR_STRIDE: Final = 4
"""Anchors are looked for on every fourth pixel both ways, and everywhere only for classes that are not found there."""


class Shard:
    """Some images of a shard, opened for reading; pickling it passes the folder, and the other process maps the same.

    Args:
        folder: The shard's folder.
        indices: Which of its images, in which order; None for all.

    Raises:
        DataError: A file is missing, does not parse, or is shorter or longer than the index says.
        OSError: A file cannot be read.
    """

    def __init__(self, folder: Path, indices: NDArray[np.int64] | None = None) -> None:
        self.folder = folder
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            self._photos = np.asarray(np.memmap(folder / "photos.bin", dtype=np.uint8, mode="r"))
            self._labels = np.asarray(np.memmap(folder / "labels.bin", dtype=np.uint8, mode="r"))
            self.has_truth: bool = index["has_truth"]
            self._truth = self._labels
            if self.has_truth:
                self._truth = np.asarray(np.memmap(folder / "truth.bin", dtype=np.uint8, mode="r"))
            self._counts: NDArray[np.int64] = np.load(folder / "counts.npy", mmap_mode="r")
            self._anchors: NDArray[np.int32] = np.load(folder / "anchors.npy", mmap_mode="r")
            names = index["names"]
            sizes: NDArray[np.int64] = np.array(index["sizes"], dtype=np.int64).reshape(-1, 2)
            starts = _starts(sizes)
        except (FileNotFoundError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"decoded images in {str(folder)!r} cannot be opened: {error!r}") from None
        num_pixels = int(sizes.prod(axis=1).sum())
        if (self._photos.size, self._labels.size, self._truth.size) != (3 * num_pixels, num_pixels, num_pixels):
            raise DataError(
                f"decoded images in {str(folder)!r} must hold {num_pixels} pixels, but photos.bin has "
                f"{self._photos.size} bytes, labels.bin {self._labels.size} and the truth {self._truth.size}"
            )
        if not len(self._counts) == len(self._anchors) == len(names) == len(sizes):
            raise DataError(
                f"decoded images in {str(folder)!r} cannot be opened: their index files do not fit together"
            )
        self._indices = np.arange(len(names)) if indices is None else indices
        self.names: tuple[str, ...] = tuple(names[index] for index in self._indices)
        self.sizes: NDArray[np.int64] = sizes[self._indices]
        """(images, 2): height and width"""
        self._starts = starts[self._indices]

    def __reduce__(self) -> tuple[type[Shard], tuple[Path, NDArray[np.int64]]]:
        return Shard, (self.folder, self._indices)

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, names: Sequence[str]) -> Shard:
        """The images of these names, in this order."""
        positions = dict(zip(self.names, self._indices.tolist(), strict=True))
        return Shard(self.folder, np.array([positions[name] for name in names], dtype=np.int64))

    @property
    def common_size(self) -> SizePx | None:
        """(height, width) of all images, or None where they differ."""
        height, width = self.sizes[0].tolist()
        return (height, width) if (self.sizes == self.sizes[0]).all() else None

    @property
    def class_pixels(self) -> NDArray[np.int64]:
        """Pixels of each class over all images, shape (classes,)."""
        total: NDArray[np.int64] = self._counts[self._indices].sum(axis=0)
        return total

    def image_class_pixels(self, index: int) -> NDArray[np.int64]:
        """Pixels of each class in one image, shape (classes,)."""
        pixels: NDArray[np.int64] = self._counts[self._indices[index]]
        return pixels

    def anchors(self, index: int) -> NDArray[np.int32]:
        """Some pixels of each class of an image, shape (classes, 8): row * width + column, -1 for a class it lacks."""
        pixels: NDArray[np.int32] = self._anchors[self._indices[index]]
        return pixels

    def pair(self, index: int) -> Images:
        """Read-only views of a photo and its label."""
        height, width = self.sizes[index].tolist()
        start, num_pixels = int(self._starts[index]), height * width
        photo = self._photos[3 * start : 3 * (start + num_pixels)].reshape(height, width, 3)
        return photo, self._labels[start : start + num_pixels].reshape(height, width)

    def truth(self, index: int) -> NDArray[np.uint8]:
        """Read-only view of the ids that predictions of an image are judged by: its label, unless `has_truth`."""
        height, width = self.sizes[index].tolist()
        start = int(self._starts[index])
        return self._truth[start : start + height * width].reshape(height, width)

    def truth_pixels(self, num_classes: int) -> NDArray[np.int64]:
        """Pixels of each of the classes that predictions are judged by, over all images, shape (classes,)."""
        if not self.has_truth:
            return self.class_pixels
        total = np.zeros(num_classes, dtype=np.int64)
        for index in range(len(self)):
            total += np.bincount(self.truth(index).ravel(), minlength=num_classes)[:num_classes]
        return total


class ShardWriter:
    """Writes a shard whose sizes are known; `put` may be called from several threads, in any order."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        sizes: Sequence[SizePx],
        num_classes: int,
        *,
        has_truth: bool = False,
    ) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._names = list(names)
        self._sizes = np.array(sizes, dtype=np.int64).reshape(-1, 2)  # (0, 2) where there are none
        self._starts = _starts(self._sizes)
        self._counts = np.zeros((len(self._names), num_classes), dtype=np.int64)
        self._anchors = np.full((len(self._names), num_classes, NUM_ANCHORS), -1, dtype=np.int32)
        self._has_truth = has_truth
        for name in ("photos.bin", "labels.bin", *(["truth.bin"] if has_truth else [])):
            (folder / name).touch()

    def put(
        self, index: int, photo: NDArray[np.uint8], label: NDArray[np.uint8], truth: NDArray[np.uint8] | None = None
    ) -> None:
        """Write one image: a photo (height, width, 3), its label (height, width), and the truth where there is one."""
        assert (truth is not None) == self._has_truth
        start = int(self._starts[index])
        # Written, not mapped: on a disk that fills up, a write raises where a mapped page would kill the process.
        planes = [("photos.bin", 3 * start, photo), ("labels.bin", start, label)]
        for name, offset, array in planes + ([] if truth is None else [("truth.bin", start, truth)]):
            with (self._folder / name).open("r+b") as file:
                file.seek(offset)
                file.write(np.ascontiguousarray(array).data)
        num_classes = self._counts.shape[1]
        self._counts[index] = np.bincount(label.ravel(), minlength=num_classes)[:num_classes]
        rng = np.random.default_rng(index)
        for class_id in np.flatnonzero(self._counts[index]).tolist():
            self._anchors[index, class_id] = rng.choice(_some_pixels(label, class_id), NUM_ANCHORS)

    def finish(self) -> None:
        """Write the index, and all files to the disk itself; the shard can then be read, also after a power cut."""
        np.save(self._folder / "counts.npy", self._counts)
        np.save(self._folder / "anchors.npy", self._anchors)
        index = {"names": self._names, "sizes": self._sizes.tolist(), "has_truth": self._has_truth}
        (self._folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
        for path in (*self._folder.iterdir(), self._folder):
            sync(path)


def _some_pixels(label: NDArray[np.uint8], class_id: int) -> NDArray[np.int64]:
    """Flat positions of pixels of a class that the label holds."""
    rows, columns = np.nonzero(label[::ANCHOR_STRIDE, ::ANCHOR_STRIDE] == class_id)
    pixels: NDArray[np.int64] = (rows * label.shape[1] + columns) * ANCHOR_STRIDE
    return pixels if len(pixels) else np.flatnonzero(label == class_id)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """First pixel of each image, shape (N,)."""
    pixels = sizes.prod(axis=1)
    starts: NDArray[np.int64] = np.cumsum(pixels) - pixels
    return starts
