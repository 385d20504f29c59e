"""Palettes of label files: whether their indices are the ids, and whether all files of a data set agree on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.errors import DataError

UsedColors = NDArray[np.uint8]
"""Index, red, green and blue of each colour that occurs in a label file, shape (K, 4); empty unless the file's indices
are the ids"""

NO_COLORS: Final[UsedColors] = np.zeros((0, 4), np.uint8)

WRITE_IDS: Final = "write the ids as an 8-bit PNG in greyscale"
"""The fix for a label file whose bytes do not tell the ids."""

_BLACK_AND_WHITE: Final = frozenset({0, 255})


def palette_ids(path: Path, entries_N3: NDArray[np.uint8], used: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the id that each index of a palette file stands for.

    A palette with a colour in it is for the eye, and its indices are the ids. A palette of greys alone comes from an
    image optimiser: it renumbers the indices of a file of ids, and the grey of each entry is the id.

    Args:
        path: The file, for error messages.
        entries_N3: The palette's colours, RGB; a file may have fewer than 256.
        used: The indices that occur in the file, in ascending order.

    Returns:
        Shape (256,).

    Raises:
        DataError: The entries are greys, and either the greys or the indices may be the ids.
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
    # An optimiser lists each grey once, and needs no palette for black and white alone: any other palette has another
    # origin, and its greys may or may not be the ids.
    if np.isin(greys, meant).sum() > len(np.unique(meant)) or _BLACK_AND_WHITE.issuperset(meant.tolist()):
        index = used[meant != used][0]
        raise DataError(
            f"{path}: its palette has grey {greys[index]} at index {index}, so the ids may be the greys or the "
            f"indices; {WRITE_IDS}"
        )
    ids = indices.copy()
    ids[used] = meant
    return ids


def used_colors(entries_N3: NDArray[np.uint8], used: NDArray[np.intp]) -> UsedColors:
    """Return the colours of the indices that occur in a file; none if the palette is greys, which name their ids."""
    if (entries_N3 == entries_N3[:, :1]).all():
        return NO_COLORS
    known = used[used < len(entries_N3)]
    return np.column_stack([known.astype(np.uint8), entries_N3[known]])


def disagreements(files: Sequence[Path], colors: Sequence[UsedColors]) -> list[str]:
    """Return a problem for each file in which an index has another colour than in most files that use it."""
    if not any(map(len, colors)):
        return []
    rows, counts = np.unique(np.concatenate(colors), axis=0, return_counts=True)
    usual: dict[int, tuple[list[int], int]] = {}
    for position in np.argsort(-counts, kind="stable").tolist():
        index, *color = rows[position].tolist()
        usual.setdefault(index, (color, int(counts[position])))
    problems = []
    for path, used in zip(files, colors, strict=True):
        for index, *color in used.tolist():
            expected, count = usual[index]
            if color != expected:
                problems.append(
                    f"{path}: index {index} of its palette has the colour {color}, but {expected} in {count} other "
                    "files; indices that are ids must mean the same in every file, and image optimisers renumber them; "
                    f"{WRITE_IDS}"
                )
                break
    return problems
