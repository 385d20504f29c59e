"""Palettes of label files: whether their indices are the ids, and whether the files of a data set mean the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.errors import DataError
from segray.labels import Color

Palette = Mapping[int, Color]
"""Index -> its colour, for the indices that occur in a file whose indices are its ids; empty for any other file"""

WRITE_IDS: Final = "write the ids as an 8-bit PNG in greyscale"
"""What to do about a label file whose bytes do not tell the ids."""

_BLACK_AND_WHITE: Final = frozenset({0, 255})


def palette_ids(path: Path, entries_N3: NDArray[np.uint8], used: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The id that every index of a palette file stands for.

    A palette with a colour in it is for the eye: its indices are the ids. A palette of greys is what image optimisers
    make of a file of ids: they renumber the indices, and each id is the grey of its entry.

    Args:
        path: The file, for messages.
        entries_N3: The palette's colours, RGB; a file may have fewer than 256.
        used: The indices that occur in the file, in ascending order.

    Returns:
        Shape (256,).

    Raises:
        DataError: The entries are greys, but do not tell the ids.
    """
    indices = np.arange(256, dtype=np.uint8)
    greys = entries_N3[:, 0]
    if (entries_N3 != greys[:, None]).any():
        return indices
    if used[-1] >= len(greys):
        raise DataError(f"{path}: holds index {used[-1]}, but its palette of greys has only {len(greys)} entries")
    meant = greys[used]
    if (meant == used).all():
        return indices
    # Optimisers list a grey once, and need no palette for black and white alone.
    if np.isin(greys, meant).sum() > len(np.unique(meant)) or _BLACK_AND_WHITE.issuperset(meant.tolist()):
        index = used[meant != used][0]
        raise DataError(
            f"{path}: its palette has grey {greys[index]} at index {index}, so the ids may be the greys or the indices; "
            f"{WRITE_IDS}"
        )
    ids = indices.copy()
    ids[used] = meant
    return ids


def used_colors(entries_N3: NDArray[np.uint8], used: NDArray[np.intp]) -> Palette:
    """The colours of the indices that occur in a file; empty where the palette is greys, which have no say."""
    if (entries_N3 == entries_N3[:, :1]).all():
        return {}
    colors = {}
    for index in used[used < len(entries_N3)].tolist():
        red, green, blue = entries_N3[index].tolist()
        colors[index] = (red, green, blue)
    return colors


def disagreements(palettes: Iterable[tuple[Path, Palette]]) -> list[str]:
    """A problem for every file in which an index has another colour than in most files that use it."""
    files = [(path, palette) for path, palette in palettes if palette]
    votes: defaultdict[int, Counter[Color]] = defaultdict(Counter)
    for _, palette in files:
        for index, color in palette.items():
            votes[index][color] += 1
    usual = {index: counts.most_common(1)[0] for index, counts in votes.items()}
    problems = []
    for path, palette in files:
        other = next((index for index, color in palette.items() if color != usual[index][0]), None)
        if other is not None:
            color, count = usual[other]
            problems.append(
                f"{path}: index {other} of its palette is the colour {palette[other]}, but {color} in {count} other "
                "files; indices that are ids must mean the same in every file, and image optimisers renumber them; "
                f"{WRITE_IDS}"
            )
    return problems
