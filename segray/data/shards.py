"""The decoded images of one split in two flat files, mapped into memory.

    FOLDER/
      photos.bin    uint8 RGB, HWC, one photo after the other
      labels.bin    uint8 training ids (255 void), HW, in the same order
      index.json    names, sizes and the pixels of each class

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
from segray.errors import DataError

BYTES_PER_PIXEL: Final = 4
"""Three for the photo, one for the label."""


class Shard:
    """One split, opened for reading; pickling it passes the folder, and the other process maps the same files.

    Raises:
        DataError: A file is missing, does not parse, or is shorter or longer than the index says.
        OSError: A file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            self._photos = np.asarray(np.memmap(folder / "photos.bin", dtype=np.uint8, mode="r"))
            self._labels = np.asarray(np.memmap(folder / "labels.bin", dtype=np.uint8, mode="r"))
            self.names: tuple[str, ...] = tuple(index["names"])
            self.sizes: NDArray[np.int64] = np.array(index["sizes"], dtype=np.int64)
            self.class_pixels: NDArray[np.int64] = np.array(index["class_pixels"], dtype=np.int64)
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"decoded images in {str(folder)!r} cannot be opened: {error!r}") from None
        self._starts = _starts(self.sizes)
        num_pixels = int(self.sizes.prod(axis=1).sum())
        if (self._photos.size, self._labels.size) != (3 * num_pixels, num_pixels):
            raise DataError(
                f"decoded images in {str(folder)!r} must hold {num_pixels} pixels, but photos.bin has "
                f"{self._photos.size} bytes and labels.bin {self._labels.size}"
            )

    def __reduce__(self) -> tuple[type[Shard], tuple[Path]]:
        return Shard, (self.folder,)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def common_size(self) -> SizePx | None:
        """(height, width) of all images, or None where they differ."""
        height, width = self.sizes[0].tolist()
        return (height, width) if (self.sizes == self.sizes[0]).all() else None

    def photo(self, index: int) -> NDArray[np.uint8]:
        """Read-only view of shape (height, width, 3), uint8 RGB."""
        height, width = self.sizes[index].tolist()
        start = 3 * int(self._starts[index])
        return self._photos[start : start + 3 * height * width].reshape(height, width, 3)

    def label(self, index: int) -> NDArray[np.uint8]:
        """Read-only view of shape (height, width), uint8 training ids, 255 for void."""
        height, width = self.sizes[index].tolist()
        start = int(self._starts[index])
        return self._labels[start : start + height * width].reshape(height, width)


class ShardWriter:
    """Writes a shard whose sizes are known; `put` may be called from several threads, in any order."""

    def __init__(self, folder: Path, names: Sequence[str], sizes: Sequence[SizePx], num_classes: int) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._names = list(names)
        self._sizes = np.array(sizes, dtype=np.int64).reshape(-1, 2)  # (0, 2) where there are none
        self._starts = _starts(self._sizes)
        self._class_pixels = np.zeros((len(self._names), num_classes), dtype=np.int64)
        for name in ("photos.bin", "labels.bin"):
            (folder / name).touch()

    def put(self, index: int, photo: NDArray[np.uint8], label: NDArray[np.uint8]) -> None:
        """Write one image: a photo (height, width, 3) and its label (height, width)."""
        start = int(self._starts[index])
        # Written, not mapped: on a disk that fills up, a write raises where a mapped page would kill the process.
        for name, offset, array in (("photos.bin", 3 * start, photo), ("labels.bin", start, label)):
            with (self._folder / name).open("r+b") as file:
                file.seek(offset)
                file.write(np.ascontiguousarray(array).data)
        num_classes = self._class_pixels.shape[1]
        self._class_pixels[index] = np.bincount(label.ravel(), minlength=num_classes)[:num_classes]

    def finish(self) -> None:
        """Write the index, and all files to the disk itself; the shard can then be read, also after a power cut."""
        index = {
            "names": self._names,
            "sizes": self._sizes.tolist(),
            "class_pixels": self._class_pixels.sum(axis=0).tolist(),
        }
        (self._folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
        for path in (*self._folder.iterdir(), self._folder):
            sync(path)


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
