"""Decodes the images of a data set from their files, as a shard stores them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.datasets.dataset import Dataset
from segray.data.datasets.scoring import Scoring
from segray.data.files.decode import resize_label, resize_pair
from segray.data.files.pair import Images, Pair
from segray.data.files.palettes import UsedColors
from segray.data.files.readers import Reader
from segray.errors import DataError


@dataclass(frozen=True)
class Source:
    """Decodes the labelled images of a data set by position. A source pickles, and several threads may use it."""

    pairs: tuple[Pair, ...]
    reader: Reader
    scoring: Scoring
    resizes: bool
    """Whether images are resized"""

    def images(self, index: int, size: SizePx) -> Images:
        """Return photo and label at (height, width).

        Raises:
            DataError: A file cannot be used, or its size has changed since the data set was listed.
        """
        return self.inspect(index, size)[0]

    def inspect(self, index: int, size: SizePx) -> tuple[Images, UsedColors]:
        """Return photo and label as `images` does, and the colours that the label file's indices stand for.

        Raises:
            DataError: As in `images`.
        """
        pair = self.pairs[index]
        (photo, label), colors = self.reader.inspect(pair)
        if not self.resizes and label.shape != size:
            raise DataError(
                f"{pair.photo}: was {size[1]}x{size[0]} when it was listed, but now is {label.shape[1]}x"
                f"{label.shape[0]}; start again"
            )
        return resize_pair(photo, label, size), colors

    def judged(self, index: int, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the ids that predictions of an image are judged by, in the size of its label.

        Args:
            index: Position of the image.
            label: Its label, from `images`.

        Raises:
            DataError: A file cannot be used.
        """
        return resize_label(self.scoring.judged_label(self.pairs[index], label), label.shape)


def open_source(dataset: Dataset, pairs: Iterable[Pair], resize_px: SizePx | None) -> Source:
    """Return the source of some labelled images of a data set."""
    return Source(tuple(pairs), dataset.reader, dataset.scoring, resize_px is not None)
