"""A photo and its label: the two files, and the two arrays that they decode to."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""A photo (height, width, 3), RGB, and its label (height, width), training ids with 255 for void; both uint8."""


MISSING: Final = Path()
"""Stands for the missing file of a pair."""


def normal(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which names are compared, because macOS decomposes them."""
    return unicodedata.normalize("NFC", name)


class Pair(NamedTuple):
    """One photo and its label file."""

    name: str
    """Unique in the data set, the same on every machine, such as ``aachen_000000_000019`` or ``dataA/02_00_000``"""
    photo: Path
    label: Path
    """The photo's path if one file holds both"""
    sequence: str = ""
    """Name of the image's sequence, empty if it has none. Images of one sequence show the same street, and stay on one
    side of a split"""
