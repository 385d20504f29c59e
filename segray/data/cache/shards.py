"""The decoded images of a data set in flat files, mapped into memory.

    FOLDER/
      photos.bin        uint8 RGB, HWC, one photo after the other
      labels.bin        uint8 training ids (255 void), HW, in the same order
      truth.bin         the same with the judged ids, which predictions are judged by, if these are not the training ids
      counts.npy        (images, classes) int64: pixels of each class
      anchors.npy       (images, classes, 8) int32: some pixels of each class, row by row; -1 where the image has none
      truth_counts.npy  (images, judged classes) int64: pixels of each class in truth.bin, if there is one
      index.json        names and sizes of the images, names of those whose photo is turned without its label, whether
                        pixels are stored, the CPU time of decoding an image, and a hash of this file's other content
                        and of the .npy files

A shard without pixels lacks the .bin files: its images are decoded from the data set's files whenever they are used.
Every process on a node maps the same pages of the page cache; a random crop touches only its own rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.cache.source import Source
from segray.data.datasets.label_totals import LabelTotals
from segray.data.files.pair import Images
from segray.errors import DataError
from segray.foreign import parse_json
from segray.values import Json

PHOTOS: Final = "photos.bin"
LABELS: Final = "labels.bin"
JUDGED: Final = "truth.bin"
JUDGED_COUNTS: Final = "truth_counts.npy"

NUM_ANCHORS: Final = 8
"""Pixels of each class of an image whose positions are stored."""


class Shard:
    """Some images of a shard, opened for reading. Pickling passes the folder, and the other process maps it, too.

    Args:
        folder: The shard's folder.
        indices: Positions of the images to take, in this order; None for all images.
        source: Decodes the images of a shard without pixels.

    Raises:
        DataError: A file is missing, does not parse, or is shorter or longer than the index says.
        OSError: A file cannot be read.
    """

    def __init__(self, folder: Path, indices: NDArray[np.int64] | None = None, source: Source | None = None) -> None:
        self.folder = folder
        try:
            index = _read_index(folder)
            self.has_judged: bool = index["has_truth"]
            """Whether predictions are judged by other ids than those of the labels"""
            self.has_pixels: bool = index["has_pixels"]
            self.decode_seconds: float = index["decode_seconds"]
            """Average CPU time of decoding an image"""
            self.turned: tuple[str, ...] = tuple(index["turned"])
            """Names of all images in the folder whose photo is turned by EXIF, but not its label"""
            self._counts: NDArray[np.int64] = np.load(folder / "counts.npy", mmap_mode="r")
            self._anchors: NDArray[np.int32] = np.load(folder / "anchors.npy", mmap_mode="r")
            self._judged_counts = self._counts
            if self.has_judged:
                self._judged_counts = np.load(folder / JUDGED_COUNTS, mmap_mode="r")
            names = index["names"]
            sizes: NDArray[np.int64] = np.array(index["sizes"], dtype=np.int64).reshape(-1, 2)
            starts = first_pixels(sizes)
            if self.has_pixels:
                self._map(int(sizes.prod(axis=1).sum()))
        except (FileNotFoundError, IsADirectoryError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"decoded images in {str(folder)!r} cannot be opened: {error!r}") from None
        if len({len(rows) for rows in (self._counts, self._anchors, self._judged_counts, names, sizes)}) > 1:
            raise DataError(
                f"decoded images in {str(folder)!r} cannot be opened: their index files do not fit together"
            )
        assert self.has_pixels or source is not None
        self._source = source
        self._indices = np.arange(len(names)) if indices is None else indices
        self.names: tuple[str, ...] = tuple(names[index] for index in self._indices)
        self.sizes: NDArray[np.int64] = sizes[self._indices]
        """(images, 2): height and width"""
        self._starts = starts[self._indices]

    def _map(self, num_pixels: int) -> None:
        depths = pixel_files(has_judged=self.has_judged)
        files = {name: np.asarray(np.memmap(self.folder / name, dtype=np.uint8, mode="r")) for name in depths}
        if any(files[name].size != depth * num_pixels for name, depth in depths.items()):
            raise DataError(
                f"decoded images in {str(self.folder)!r} must hold {num_pixels} pixels, but "
                + ", ".join(f"{name} has {pixels.size} bytes" for name, pixels in files.items())
            )
        self._photos, self._labels = files[PHOTOS], files[LABELS]
        self._judged = files.get(JUDGED, self._labels)

    def __reduce__(self) -> tuple[type[Shard], tuple[Path, NDArray[np.int64], Source | None]]:
        return Shard, (self.folder, self._indices, None if self.has_pixels else self._source)

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, names: Sequence[str]) -> Shard:
        """Return the images of these names, in this order."""
        positions = {name: position for position, name in enumerate(self.names)}
        picked = np.array([positions[name] for name in names], dtype=np.int64)
        # The shard is not opened again, because another process may have replaced the folder.
        part = Shard.__new__(Shard)
        vars(part).update(vars(self))
        part.names, part.sizes = tuple(names), self.sizes[picked]
        part._indices, part._starts = self._indices[picked], self._starts[picked]
        return part

    @property
    def common_size(self) -> SizePx | None:
        """(height, width) of all images, or None if they differ."""
        height, width = self.sizes[0].tolist()
        return (height, width) if (self.sizes == self.sizes[0]).all() else None

    @property
    def class_pixels(self) -> NDArray[np.int64]:
        """Pixels of each class over all images, shape (classes,)."""
        total: NDArray[np.int64] = self._counts[self._indices].sum(axis=0)
        return total

    @property
    def label_totals(self) -> LabelTotals:
        """Pixels of each class and of void over all images."""
        pixels = self.class_pixels
        return LabelTotals(pixels, int(self.sizes.prod(axis=1).sum() - pixels.sum()))

    @property
    def judged_pixels(self) -> NDArray[np.int64]:
        """Pixels of each class that predictions are judged by over all images, shape (judged classes,)."""
        total: NDArray[np.int64] = self._judged_counts[self._indices].sum(axis=0)
        return total

    def anchors(self, index: int) -> NDArray[np.int32]:
        """Return some pixels of each class of an image, shape (classes, 8): row * width + column, -1 for no pixel."""
        pixels: NDArray[np.int32] = self._anchors[self._indices[index]]
        return pixels

    def pair(self, index: int) -> Images:
        """Return a photo and its label, read-only.

        Raises:
            DataError: A file of a shard without pixels cannot be used any more.
        """
        height, width = self.sizes[index].tolist()
        if not self.has_pixels:
            return self._decode(index, (height, width))
        start, num_pixels = int(self._starts[index]), height * width
        photo = self._photos[3 * start : 3 * (start + num_pixels)].reshape(height, width, 3)
        return photo, self._labels[start : start + num_pixels].reshape(height, width)

    def judged(self, index: int, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the ids that predictions of an image are judged by, (height, width): its label, unless `has_judged`.

        Args:
            index: Position of the image.
            label: Its label, from `pair`.

        Raises:
            DataError: A file of a shard without pixels cannot be used any more.
        """
        if not self.has_judged:
            return label
        if not self.has_pixels:
            assert self._source is not None
            return self._source.judged(int(self._indices[index]), label)
        start = int(self._starts[index])
        return self._judged[start : start + label.size].reshape(label.shape)

    def _decode(self, index: int, size: SizePx) -> Images:
        assert self._source is not None
        photo, label = self._source.images(int(self._indices[index]), size)
        photo.flags.writeable = label.flags.writeable = False
        return photo, label


def index_hash(folder: Path, index: Mapping[str, object]) -> str:
    """Return a hash of an index and of the .npy files beside it, which reveals damage that would go unnoticed."""
    digest = hashlib.sha256(json.dumps({key: index[key] for key in sorted(index)}).encode())
    for path in sorted(folder.glob("*.npy")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _read_index(folder: Path) -> Json:
    index = parse_json((folder / "index.json").read_bytes())
    if not isinstance(index, dict) or index.pop("hash", None) != index_hash(folder, index):
        raise ValueError("its index files are not as they were written")
    return index


def pixel_files(*, has_judged: bool) -> dict[str, int]:
    """Return the names of the files that hold pixels, and the bytes that each takes for a pixel."""
    return {PHOTOS: 3, LABELS: 1} | ({JUDGED: 1} if has_judged else {})


def pixel_bytes(sizes: NDArray[np.int64], *, has_judged: bool) -> int:
    """Return the space that the pixels of images of these (height, width) take."""
    return int(sizes.prod(axis=1).sum()) * sum(pixel_files(has_judged=has_judged).values())


def first_pixels(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of each image's first pixel, shape (images,), from (height, width) of all images."""
    pixels = sizes.prod(axis=1)
    starts: NDArray[np.int64] = np.cumsum(pixels) - pixels
    return starts
