"""Draws the legend of a picture of predictions: the colour and the name of each class."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.data.tools.swatches import LIGHT, Style, draw_swatches, fitted
from segray.labels import IGNORE_INDEX, LabelSpace

DARK: Final = Style(background=(24, 24, 24), ink=(235, 235, 235), frame=(150, 150, 150))


def draw_legend(
    label_space: LabelSpace,
    train_ids: Sequence[int] | None = None,
    *,
    width_px: int,
    text_px: int = 18,
    dark: bool = False,
    margin_px: int = 12,
    faint: Collection[int] = (),
) -> NDArray[np.uint8]:
    """Draw a swatch and the name of each class, in as many columns as the width holds.

    Args:
        label_space: The classes.
        train_ids: Classes to show, in this order; 255 is void. None shows all classes.
        width_px: Width of the picture.
        text_px: Height of the letters; smaller in a picture too narrow for the longest name.
        dark: Whether to draw light letters on a dark ground.
        margin_px: Empty pixels on each side.
        faint: Classes to draw in faint colours, such as those that a photo does not show.

    Returns:
        A picture (height, width_px, 3), RGB; its height follows from the number of classes.
    """
    shown = range(label_space.num_classes) if train_ids is None else train_ids
    entries = [
        ("void", None) if train_id == IGNORE_INDEX else (label_space.names[train_id], label_space.colors[train_id])
        for train_id in shown
    ]
    margin_px = min(margin_px, (width_px - 1) // 2)
    style = fitted(entries, width_px - 2 * margin_px, replace(DARK if dark else LIGHT, text_px=text_px))
    table = draw_swatches(
        entries, width_px - 2 * margin_px, style, [index for index, train_id in enumerate(shown) if train_id in faint]
    )
    # A line is higher than its swatch by the distance to the next line, which the last line does not need.
    unused_px = style.line_px - style.swatch_px if entries else 0
    table = table[: len(table) - unused_px + 1]
    legend = np.full((len(table) + 2 * margin_px, width_px, 3), style.background, np.uint8)
    legend[margin_px : margin_px + len(table), margin_px : width_px - margin_px] = table
    return legend
