"""Readers of the data sets: they turn a photo file and a label file into a photo and training ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.files.decode import pair_size, read_colors, read_label, read_photo
from segray.data.files.pair import Images, Pair
from segray.data.files.palettes import NO_COLORS, UsedColors, palette_ids, used_colors
from segray.errors import DataError
from segray.labels import Color


class Reader(Protocol):
    """Reads the files of a pair. A reader pickles, and several threads may call it at once."""

    @property
    def key(self) -> str:
        """Everything that the arrays depend on besides the files, such as a table of ids; part of the cache's key."""

    def size(self, pair: Pair) -> SizePx:
        """Return (height, width) of photo and label, from the files' headers.

        Raises:
            DataError: A header cannot be read, or the two sizes differ.
        """

    def read_photo(self, path: Path) -> NDArray[np.uint8]:
        """Return the photo (height, width, 3), RGB, of a pair's photo file, whose label may be missing.

        Raises:
            DataError: The file cannot be read, or does not decode to its end.
        """

    def read(self, pair: Pair) -> Images:
        """Return photo and label.

        Raises:
            DataError: A file cannot be read, does not decode to its end, or holds a label value that is not allowed;
                the error lists every fault as a problem.
        """

    def inspect(self, pair: Pair) -> tuple[Images, UsedColors]:
        """Return photo and label as `read` does, and the colours that the label file's indices stand for.

        Raises:
            DataError: As in `read`.
        """


_ID_MODES: Final = frozenset({"L", "P"})
_COLOR_MODES: Final = frozenset({"RGB", "RGBA", "CMYK", "YCbCr"})
# Never a training id: classes end at 253, and void is 255.
_NO_CLASS: Final = 254


class Label(NamedTuple):
    """A decoded label file."""

    ids: NDArray[np.uint8]
    """Training ids (height, width), 255 for void"""
    colors: UsedColors
    """Colours of the palette, if its indices are the ids"""


class LabelDecoder(Protocol):
    """Decodes a label file into training ids."""

    @property
    def key(self) -> str:
        """Everything that the ids depend on besides the file."""

    def __call__(self, path: Path) -> Label:
        """Decode a file.

        Raises:
            DataError: The file cannot be read, does not decode, or holds a value that is not allowed.
        """


@dataclass(frozen=True)
class FileReader:
    """Reads a photo file, and a label file of the same size."""

    decode_label: LabelDecoder

    @property
    def key(self) -> str:
        """Key of the label decoder."""
        return self.decode_label.key

    def size(self, pair: Pair) -> SizePx:
        """Return (height, width), from the headers."""
        return pair_size(pair)

    def read_photo(self, path: Path) -> NDArray[np.uint8]:
        """Return the photo of a file."""
        return read_photo(path)

    def read(self, pair: Pair) -> Images:
        """Return photo and label; if both are damaged, the error names both."""
        return self.inspect(pair)[0]

    def inspect(self, pair: Pair) -> tuple[Images, UsedColors]:
        """Return photo and label as `read` does, and the colours that the label file's indices stand for."""
        problems: list[str] = []
        try:
            photo = read_photo(pair.photo)
        except DataError as error:
            problems += error.problems
        try:
            label = self.decode_label(pair.label)
        except DataError as error:
            problems += error.problems
        if problems:
            raise DataError("\n".join(problems), problems)
        return (photo, label.ids), label.colors


class IdLabels:
    """Decodes 8-bit files with one channel of ids; if the file has a palette, `palette_ids` tells the ids.

    Args:
        raw_to_train: Id -> training id, or 255 for void.
        hints: Value that is no id -> hint for the error message where it occurs, such as which files hold it.
    """

    def __init__(self, raw_to_train: Mapping[int, int], hints: Mapping[int, str] | None = None) -> None:
        self._table = np.full(256, -1, dtype=np.int16)
        for raw, train in raw_to_train.items():
            self._table[raw] = train
        self._hints = dict(hints or {})
        self.key = json.dumps({"ids": sorted(raw_to_train.items())})

    def __call__(self, path: Path) -> Label:
        """Return training ids; an id that the table lacks is an error."""
        stored = read_label(path)
        if stored.mode not in _ID_MODES:
            colors = ", which is a mask of colours; give the files of ids" if stored.mode in _COLOR_MODES else ""
            raise DataError(
                f"{path}: a label must be an 8-bit PNG with one channel of class ids, but its mode is {stored.mode}"
                f"{colors}"
            )
        values = np.flatnonzero(np.bincount(stored.values.ravel(), minlength=256))
        ids: NDArray[np.uint8] = np.arange(256, dtype=np.uint8)
        if stored.mode == "P":
            ids = palette_ids(path, stored.palette_N3, values)
        self._check(path, ids[values], stored.mode)
        return Label(self._table.astype(np.uint8)[ids][stored.values], used_colors(stored.palette_N3, values))

    def _check(self, path: Path, ids: NDArray[np.uint8], mode: str) -> None:
        wrong = ids[self._table[ids] < 0].tolist()
        if not wrong:
            return
        hints = list(dict.fromkeys(self._hints[value] for value in wrong if value in self._hints))
        if mode == "P":
            hints.append("a palette PNG counts by its indices, or by its greys where it holds nothing else")
        raise DataError(
            "; ".join([f"{path}: holds label values that are no class and not void: {shown_values(wrong)}", *hints])
        )


class ColorLabels:
    """Decodes PNGs in which each class has its exact colour: RGB, RGBA or a palette."""

    def __init__(self, color_to_train: Mapping[Color, int]) -> None:
        self._pairs = tuple(sorted(color_to_train.items()))
        self.key = json.dumps({"colors": self._pairs})

    def __call__(self, path: Path) -> Label:
        """Return training ids; a colour that the mapping lacks is an error."""
        packed = _pack(read_colors(path))
        label: NDArray[np.uint8] = _id_by_color(self._pairs).take(packed)
        unknown = packed[label == _NO_CLASS]
        if len(unknown):
            values, counts = np.unique(unknown, return_counts=True)
            common = values[np.argsort(-counts, kind="stable")][:3].tolist()
            shown = ", ".join(f"({value & 255}, {value >> 8 & 255}, {value >> 16})" for value in common)
            raise DataError(
                f"{path}: every pixel must have the exact colour of a class, but {len(unknown)} of {label.size} pixels "
                f"have {len(values)} other colours, such as {shown}; JPEG and resizing blur colours"
            )
        return Label(label, NO_COLORS)


def shown_values(values: Sequence[int]) -> str:
    """Return the first ten values as text, and the number of the others."""
    return ", ".join(map(str, values[:10])) + (f" and {len(values) - 10} more" if len(values) > 10 else "")


@lru_cache(maxsize=4)
def _id_by_color(pairs: tuple[tuple[Color, int], ...]) -> NDArray[np.uint8]:
    """Return training ids by packed colour, shape (2^24,)."""
    # For 2 million pixels, a look-up in this table takes a fifth of the time of np.unique.
    table = np.full(1 << 24, _NO_CLASS, np.uint8)
    for (red, green, blue), train_id in pairs:
        table[red | green << 8 | blue << 16] = train_id
    return table


def _pack(colors: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return RGB colours (height, width, 3) as numbers (height, width), red in the lowest byte."""
    packed: NDArray[np.uint32] = cv2.cvtColor(colors, cv2.COLOR_RGB2RGBA).view("<u4")[..., 0] & np.uint32(0xFFFFFF)
    return packed
