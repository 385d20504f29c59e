"""Draws a table of colours and their names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.data.tools.lettering import cut_end, text_width, write_text
from segray.labels import Color

BLACK: Final = (20, 20, 20)
GRAY: Final = (110, 110, 110)
WHITE: Final = (255, 255, 255)
SMALLEST_TEXT_PX: Final = 11
"""Height of letters that a person can still read"""
FAINT_SHARE: Final = 0.3
"""Share of an entry's own colours where it is faint"""


@dataclass(frozen=True)
class Style:
    """Sizes and colours of a table of swatches."""

    text_px: int = 18
    """Height of the letters; swatches and distances follow"""
    background: Color = WHITE
    ink: Color = BLACK
    """Colour of the letters"""
    frame: Color = GRAY
    """Colour of the line around a swatch"""

    @property
    def swatch_px(self) -> int:
        """Side of a swatch."""
        return round(self.text_px * 22 / 18)

    @property
    def line_px(self) -> int:
        """Distance of the lines."""
        return round(self.text_px * 32 / 18)

    @property
    def gap_px(self) -> int:
        """Distance between a swatch and its name."""
        return round(self.text_px * 8 / 18)


LIGHT: Final = Style()


def draw_swatches(
    entries: Sequence[tuple[str, Color | None]],
    width_px: int,
    style: Style = LIGHT,
    faint: Collection[int] = (),
) -> NDArray[np.uint8]:
    """Draw names with their colours in as many columns as fit, read from top to bottom, then to the right.

    Args:
        entries: Name, and its colour or None for void, which is hatched.
        width_px: Width of the picture; longer names are cut.
        style: Sizes and colours.
        faint: Positions of entries that are drawn in faint colours.

    Returns:
        A picture (height, width_px, 3), RGB; its height is 0 without entries.
    """
    before_text = style.swatch_px + style.gap_px
    column_px = _column_px(entries, style) + 2 * style.gap_px
    num_columns = min(max((width_px + 2 * style.gap_px) // column_px, 1), max(len(entries), 1))
    num_lines = -(-len(entries) // num_columns)
    canvas = np.full((num_lines * style.line_px, width_px, 3), style.background, np.uint8)
    for index, (text, color) in enumerate(entries):
        column, line = divmod(index, num_lines)
        left, top = column * column_px, line * style.line_px
        _draw_swatch(canvas, color, left, top, style)
        baseline = top + style.swatch_px - round(style.text_px * 5 / 18)
        shown = cut_end(text, width_px - before_text, style.text_px)
        write_text(canvas, shown, left + before_text, baseline, style.text_px, style.ink)
        if index in faint:
            place = canvas[top : top + style.line_px, left : left + column_px]
            place[:] = FAINT_SHARE * place + (1 - FAINT_SHARE) * np.array(style.background)
    return canvas


def fitted(entries: Sequence[tuple[str, Color | None]], width_px: int, style: Style) -> Style:
    """Return the style with letters that are small enough for the longest name, but not below ``SMALLEST_TEXT_PX``."""
    while style.text_px > SMALLEST_TEXT_PX and _column_px(entries, style) > width_px:
        style = replace(style, text_px=style.text_px - 1)
    return style


def hatching(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return diagonal stripes of black and grey, (height, width, 3), which stand for void."""
    rows, columns = np.indices(size)
    gray = np.where((rows + columns) // 5 % 2, 0, 90).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _column_px(entries: Sequence[tuple[str, Color | None]], style: Style) -> int:
    widest = max((text_width(text, style.text_px) for text, _ in entries), default=0)
    return style.swatch_px + style.gap_px + widest


def _draw_swatch(canvas: NDArray[np.uint8], color: Color | None, left: int, top: int, style: Style) -> None:
    side = style.swatch_px
    place = canvas[top : top + side, left : left + side]
    place[:] = hatching(place.shape[:2]) if color is None else color
    cv2.rectangle(canvas, (left, top, side, side), style.frame)
