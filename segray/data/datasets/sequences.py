"""Names of video frames -> sequences: neighbouring frames look alike, so a split must not part them."""

from __future__ import annotations

import re
from typing import Final

_LAST_NUMBER: Final = re.compile(r"(.*?)(\d+)\D*", re.DOTALL)


def block(stem: str, length: int) -> str:
    """The stretch of a video that a frame lies in, for names that tell no more than a frame's number.

    Args:
        stem: Name such as ``um_000012``; its last number counts frames.
        length: Numbers in a stretch.

    Returns:
        What stands before the number, and the stretch's, such as ``um_#1``; empty where the name holds no number.
    """
    before, number = split_number(stem)
    return "" if number is None else f"{before}#{number // length}"


def split_number(stem: str) -> tuple[str, int | None]:
    """A name's last number, or None, and what stands before it: ``F61-12`` gives ``F61-`` and 12."""
    found = _LAST_NUMBER.fullmatch(stem)
    return (found[1], int(found[2])) if found else (stem, None)
