"""Text on images, in a font that every machine has."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.labels import Color

WEIGHT: Final = 400
"""Weight of the letters: regular"""


def write_text(canvas: NDArray[np.uint8], text: str, left: int, baseline: int, size: int, color: Color) -> None:
    """Write a line of text onto an image (height, width, 3), in place.

    Args:
        canvas: The image, RGB.
        text: The line, in any script.
        left: Column of the first letter.
        baseline: Row on which the letters stand.
        size: Height of the letters in pixels.
        color: Colour of the letters.
    """
    # OpenCV's own font covers all scripts; Pillow's lacks even umlauts.
    cv2.putText(canvas, text, (left, baseline), color, cv2.FontFace("sans"), size, weight=WEIGHT)


def text_width(text: str, size: int) -> int:
    """Return the width of a line of text in pixels."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), size, weight=WEIGHT)
    return int(width)


def wrap_text(text: str, width: int, size: int) -> list[str]:
    """Return the text as lines that are no wider than ``width`` pixels, except for single words that are wider."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def cut_start(text: str, width: int, size: int) -> str:
    """Return the text, with an ellipsis in place of its start if it is wider than ``width`` pixels."""
    shown = text
    while text and text_width(shown, size) > width:
        text = text[1:]
        shown = f"…{text}"
    return shown


def cut_end(text: str, width: int, size: int) -> str:
    """Return the text, with an ellipsis in place of its end if it is wider than ``width`` pixels."""
    shown = text
    while text and text_width(shown, size) > width:
        text = text[:-1]
        shown = f"{text}…"
    return shown
