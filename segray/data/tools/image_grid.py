"""Draws a grid of photos and labels with a title, names and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.data.files.decode import resize_label
from segray.labels import IGNORE_INDEX, Color, LabelSpace

MARGIN: Final = 28
GAP: Final = 10
CELL_HEIGHT: Final = 360
"""Largest height of a panel, in pixels"""
GRID_WIDTH: Final = 1400
"""Width of all panels of a row together, in pixels"""
MAX_CELL_WIDTH: Final = 480
SWATCH: Final = 22
LEGEND_LINE: Final = 32
OPACITY: Final = 0.5
"""Opacity of a label over its photo"""
BLACK: Final = (20, 20, 20)
GRAY: Final = (110, 110, 110)
WEIGHT: Final = 400
"""Weight of the letters: regular"""


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
    """The content of the picture."""

    title: str
    headings: Sequence[str]
    """Heading of each column"""
    rows: Sequence[Row]
    label_space: LabelSpace
    pixels: NDArray[np.int64]
    """Pixels of each of the 256 training ids in the images, void included"""


def draw_grid(grid: Grid) -> NDArray[np.uint8]:
    """Draw the grid as a picture (height, width, 3), RGB, about 1,450 pixels wide."""
    cell_width = min((GRID_WIDTH - GAP * (len(grid.headings) - 1)) // len(grid.headings), MAX_CELL_WIDTH)
    rows = [[render(panel, grid.label_space, cell_width) for panel in row.panels] for row in grid.rows]
    tall = [max(panel.shape[0] for panel in row) for row in rows]
    width = 2 * MARGIN + len(grid.headings) * (cell_width + GAP) - GAP
    legend = _Legend.of(grid, width - 2 * MARGIN)
    height = MARGIN + 48 + 28 + sum(tall) + len(rows) * 36 + legend.height + MARGIN
    canvas = np.full((height, width, 3), 255, np.uint8)
    _write(canvas, grid.title, MARGIN, MARGIN + 20, 26, BLACK)
    y = MARGIN + 76
    for column, heading in enumerate(grid.headings):
        _write(canvas, heading, MARGIN + column * (cell_width + GAP), y - 12, 17, GRAY)
    for row, panels, row_height in zip(grid.rows, rows, tall, strict=True):
        for column, panel in enumerate(panels):
            _paste(canvas, panel, MARGIN + column * (cell_width + GAP), y)
        _write(canvas, _shorten(row.name, width - 2 * MARGIN, 16), MARGIN, y + row_height + 20, 16, GRAY)
        y += row_height + 36
    legend.draw(canvas, y)
    return canvas


def render(panel: Panel, space: LabelSpace, cell_width: int) -> NDArray[np.uint8]:
    """Draw a panel as large as fits a cell; void pixels are hatched unless there is a photo under the label."""
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
    """Return diagonal stripes of black and grey, (height, width, 3), which stand for void."""
    rows, columns = np.indices(size)
    gray = np.where((rows + columns) // 5 % 2, 0, 90).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


@dataclass(frozen=True)
class _Legend:
    entries: Sequence[tuple[str, Color | None]]
    """Text, and colour or None for void, in order of falling shares"""
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
        column_width = SWATCH + 24 + max(_width(text, 18) for text, _ in entries)
        absent = [name for index, name in enumerate(names) if not shares[index]]
        return cls(
            entries,
            f"classes, and their shares of the pixels of the {len(grid.rows)} images shown",
            _wrap("not in these images: " + ", ".join(absent), width, 16) if absent else [],
            min(column_width, width),
            max(width // column_width, 1),
        )

    @property
    def num_lines(self) -> int:
        return -(-len(self.entries) // self.num_columns)

    @property
    def height(self) -> int:
        return 40 + self.num_lines * LEGEND_LINE + (8 + 22 * len(self.absent) if self.absent else 0)

    def draw(self, canvas: NDArray[np.uint8], y: int) -> None:
        _write(canvas, self.heading, MARGIN, y + 24, 17, GRAY)
        y += 40
        for index, (text, color) in enumerate(self.entries):
            column, line = divmod(index, self.num_lines)
            left, top = MARGIN + column * self.column_width, y + line * LEGEND_LINE
            swatch = hatching((SWATCH, SWATCH)) if color is None else np.full((SWATCH, SWATCH, 3), color, np.uint8)
            _paste(canvas, swatch, left, top)
            cv2.rectangle(canvas, (left, top, SWATCH, SWATCH), GRAY)
            _write(canvas, text, left + SWATCH + 8, top + SWATCH - 5, 18, BLACK)
        y += self.num_lines * LEGEND_LINE + 8
        for number, text in enumerate(self.absent):
            _write(canvas, text, MARGIN, y + 16 + 22 * number, 16, GRAY)


def _percent(share: float) -> str:
    return "below 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _paste(canvas: NDArray[np.uint8], panel: NDArray[np.uint8], left: int, top: int) -> None:
    canvas[top : top + panel.shape[0], left : left + panel.shape[1]] = panel


def _write(canvas: NDArray[np.uint8], text: str, left: int, baseline: int, size: int, color: Color) -> None:
    # OpenCV's own font covers all scripts; Pillow's lacks even umlauts.
    cv2.putText(canvas, text, (left, baseline), color, cv2.FontFace("sans"), size, weight=WEIGHT)


def _width(text: str, size: int) -> int:
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), size, weight=WEIGHT)
    return int(width)


def _wrap(text: str, width: int, size: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shorten(text: str, width: int, size: int) -> str:
    """Return the text, with an ellipsis in place of its start if it is too long."""
    shown = text
    while _width(shown, size) > width:
        text = text[1:]
        shown = f"…{text}"
    return shown
