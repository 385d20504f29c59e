"""Draws a grid of photos and labels with a title, names and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segray.data.decode import resize_label
from segray.labels import IGNORE_INDEX, Color, LabelSpace

MARGIN: Final = 28
GAP: Final = 10
CELL_HEIGHT: Final = 360
"""Most that a panel takes, in pixels"""
GRID_WIDTH: Final = 1400
"""All panels of a row, in pixels"""
MAX_CELL_WIDTH: Final = 480
SWATCH: Final = 22
LEGEND_LINE: Final = 32
OPACITY: Final = 0.5
"""Of a label over its photo"""
BLACK: Final = (20, 20, 20)
GRAY: Final = (110, 110, 110)


class Panel(NamedTuple):
    """A photo (height, width, 3), RGB, a label (height, width) of training ids, or the label over the photo."""

    photo: NDArray[np.uint8] | None = None
    label: NDArray[np.uint8] | None = None


class Row(NamedTuple):
    """The panels of one image."""

    name: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Grid:
    """All that is drawn."""

    title: str
    headings: Sequence[str]
    """One above each column"""
    rows: Sequence[Row]
    label_space: LabelSpace
    pixels: NDArray[np.int64]
    """Of each of the 256 training ids in the images, void too"""


def draw_grid(grid: Grid) -> Image.Image:
    """The grid as a picture of about 1,450 pixels' width."""
    cell_width = min((GRID_WIDTH - GAP * (len(grid.headings) - 1)) // len(grid.headings), MAX_CELL_WIDTH)
    rows = [[render(panel, grid.label_space, cell_width) for panel in row.panels] for row in grid.rows]
    tall = [max(panel.shape[0] for panel in row) for row in rows]
    width = 2 * MARGIN + len(grid.headings) * (cell_width + GAP) - GAP
    legend = _Legend.of(grid, width - 2 * MARGIN)
    height = MARGIN + 48 + 28 + sum(tall) + len(rows) * 36 + legend.height + MARGIN
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN - 6), grid.title, BLACK, _font(26))
    y = MARGIN + 48
    for column, heading in enumerate(grid.headings):
        draw.text((MARGIN + column * (cell_width + GAP), y), heading, GRAY, _font(16))
    y += 28
    for row, panels, row_height in zip(grid.rows, rows, tall, strict=True):
        for column, panel in enumerate(panels):
            canvas.paste(Image.fromarray(panel), (MARGIN + column * (cell_width + GAP), y))
        draw.text((MARGIN, y + row_height + 5), _shortened(row.name, width - 2 * MARGIN, _font(15)), GRAY, _font(15))
        y += row_height + 36
    legend.draw(draw, canvas, y)
    return canvas


def render(panel: Panel, space: LabelSpace, cell_width: int) -> NDArray[np.uint8]:
    """A panel as large as fits a cell; void pixels are hatched where there is no photo under the label."""
    image = panel.label if panel.photo is None else panel.photo
    assert image is not None
    scale = min(cell_width / image.shape[1], CELL_HEIGHT / image.shape[0])
    size = max(round(image.shape[0] * scale), 1), max(round(image.shape[1] * scale), 1)
    photo = colors = None
    if panel.photo is not None:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        photo = cv2.resize(panel.photo, size[::-1], interpolation=how).astype(np.uint8)
    if panel.label is None:
        assert photo is not None
        return photo
    label = resize_label(panel.label, size)
    colors = space.palette()[label]
    void = label == IGNORE_INDEX
    if photo is None:
        colors[void] = hatching(size)[void]
        return colors
    blended = np.rint(OPACITY * colors + (1 - OPACITY) * photo).astype(np.uint8)
    blended[void] = photo[void]
    return blended


def hatching(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Diagonal stripes of black and grey, (height, width, 3): void."""
    rows, columns = np.indices(size)
    gray = np.where((rows + columns) // 5 % 2, 0, 90).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


@dataclass(frozen=True)
class _Legend:
    entries: Sequence[tuple[str, Color | None]]
    """Text, and colour or None for void; most pixels first"""
    heading: str
    absent: Sequence[str]
    """Lines that name the classes without a pixel"""
    column_width: int
    num_columns: int

    @classmethod
    def of(cls, grid: Grid, width: int) -> _Legend:
        names = [*grid.label_space.names]
        shares = grid.pixels / max(int(grid.pixels.sum()), 1)
        order = [index for index in np.argsort(-shares, kind="stable").tolist() if shares[index]]
        classes = [index for index in order if index != IGNORE_INDEX] + [IGNORE_INDEX] * (IGNORE_INDEX in order)
        entries: list[tuple[str, Color | None]] = [
            (f"void (ignored)  {_percent(shares[index])}", None)
            if index == IGNORE_INDEX
            else (f"{names[index]}  {_percent(shares[index])}", grid.label_space.colors[index])
            for index in classes
        ]
        column_width = SWATCH + 24 + round(max(_font(17).getlength(text) for text, _ in entries))
        absent = [name for index, name in enumerate(names) if not shares[index]]
        return cls(
            entries,
            f"classes, and their shares of the pixels of the {len(grid.rows)} images shown",
            _wrapped("not in these images: " + ", ".join(absent), width, _font(15)) if absent else [],
            min(column_width, width),
            max(width // column_width, 1),
        )

    @property
    def num_lines(self) -> int:
        return -(-len(self.entries) // self.num_columns)

    @property
    def height(self) -> int:
        return 40 + self.num_lines * LEGEND_LINE + (8 + 22 * len(self.absent) if self.absent else 0)

    def draw(self, draw: ImageDraw.ImageDraw, canvas: Image.Image, y: int) -> None:
        draw.text((MARGIN, y + 8), self.heading, GRAY, _font(16))
        y += 40
        for index, (text, color) in enumerate(self.entries):
            column, line = divmod(index, self.num_lines)
            left, top = MARGIN + column * self.column_width, y + line * LEGEND_LINE
            if color is None:
                canvas.paste(Image.fromarray(hatching((SWATCH, SWATCH))), (left, top))
            else:
                draw.rectangle((left, top, left + SWATCH - 1, top + SWATCH - 1), fill=color)
            draw.rectangle((left, top, left + SWATCH - 1, top + SWATCH - 1), outline=GRAY)
            draw.text((left + SWATCH + 8, top + SWATCH // 2), text, BLACK, _font(17), anchor="lm")
        y += self.num_lines * LEGEND_LINE + 8
        for number, text in enumerate(self.absent):
            draw.text((MARGIN, y + 22 * number), text, GRAY, _font(15))


def _percent(share: float) -> str:
    return "below 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, its start left out where it is too long."""
    shown = text
    while font.getlength(shown) > width:
        text = text[1:]
        shown = f"…{text}"
    return shown
