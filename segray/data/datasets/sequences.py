"""Derives sequences from names of video frames. Neighbouring frames look alike, so a split must not separate them."""

from __future__ import annotations

import re
from typing import Final

_LAST_NUMBER: Final = re.compile(r"(.*?)(\d+)\D*", re.DOTALL)


def block(stem: str, length: int) -> str:
    """Return the block of a video that a frame lies in, for names that tell only a frame's number.

    Args:
        stem: Name such as ``um_000012``; its last number counts frames.
        length: Numbers in a block.

    Returns:
        The part of the name before its number, and the number of the block, such as ``um_#1``; empty if the name holds
        no number.
    """
    before, number = split_number(stem)
    return "" if number is None else f"{before}#{number // length}"


def split_number(stem: str) -> tuple[str, int | None]:
    """Return the part of a name before its last number, and the number or None: ``F61-12`` gives ``F61-`` and 12."""
    found = _LAST_NUMBER.fullmatch(stem)
    return (found[1], int(found[2])) if found else (stem, None)
