"""Draws a grid of photos and labels with a title, names and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.data.files.decode import resize_label
from segray.data.tools.lettering import cut_start, wrap_text, write_text
from segray.data.tools.swatches import BLACK, GRAY, LIGHT, draw_swatches, hatching
from segray.labels import IGNORE_INDEX, Color, LabelSpace

MARGIN: Final = 28
GAP: Final = 10
CELL_HEIGHT: Final = 360
"""Largest height of a panel, in pixels"""
GRID_WIDTH: Final = 1400
"""Width of all panels of a row together, in pixels"""
MAX_CELL_WIDTH: Final = 480
OPACITY: Final = 0.5
"""Opacity of a label over its photo"""


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
    write_text(canvas, grid.title, MARGIN, MARGIN + 20, 26, BLACK)
    y = MARGIN + 76
    for column, heading in enumerate(grid.headings):
        write_text(canvas, heading, MARGIN + column * (cell_width + GAP), y - 12, 17, GRAY)
    for row, panels, row_height in zip(grid.rows, rows, tall, strict=True):
        for column, panel in enumerate(panels):
            _paste(canvas, panel, MARGIN + column * (cell_width + GAP), y)
        write_text(canvas, cut_start(row.name, width - 2 * MARGIN, 16), MARGIN, y + row_height + 20, 16, GRAY)
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


@dataclass(frozen=True)
class _Legend:
    heading: str
    absent: Sequence[str]
    """Lines that name the classes without a pixel"""
    table: NDArray[np.uint8]
    """The classes with a pixel, in order of falling shares, void last"""

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
        absent = [name for index, name in enumerate(names) if not shares[index]]
        return cls(
            f"classes, and their shares of the pixels of the {len(grid.rows)} images shown",
            wrap_text("not in these images: " + ", ".join(absent), width, 16) if absent else [],
            draw_swatches(entries, width, LIGHT),
        )

    @property
    def height(self) -> int:
        return 40 + len(self.table) + (8 + 22 * len(self.absent) if self.absent else 0)

    def draw(self, canvas: NDArray[np.uint8], y: int) -> None:
        write_text(canvas, self.heading, MARGIN, y + 24, 17, GRAY)
        y += 40
        _paste(canvas, self.table, MARGIN, y)
        y += len(self.table) + 8
        for number, text in enumerate(self.absent):
            write_text(canvas, text, MARGIN, y + 16 + 22 * number, 16, GRAY)


def _percent(share: float) -> str:
    return "below 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _paste(canvas: NDArray[np.uint8], panel: NDArray[np.uint8], left: int, top: int) -> None:
    canvas[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
