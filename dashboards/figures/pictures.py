"""Pictures in a figure: read from a sweep's sample images, and laid out in a grid whose pictures zoom together."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from dashboards.figures.style import MUTED, plain, styled
from segray.folder import Folder
from segray.foreign import PICTURE_DAMAGE, in_short
from segray.labels import IGNORE_INDEX, Color
from segray.results import SweepResults

# Twice the width of a picture on the widest page (four beside each other in 1056 px), for zooming.
MAX_WIDTH_PX: Final = 512
NUM_COLUMNS: Final = 4
MIN_WIDTH_PX: Final = 720
"""Width of a grid below which its pictures are too small to tell classes apart"""
VOID_COLOR: Final = (0, 0, 0)
COLUMN_GAP: Final = 0.012
ROW_GAP: Final = 0.16
"""Gap above a row for its captions, as a share of the row's height"""
CAPTION_PX: Final = 23
"""Height of one line of captions or headings"""
LEGEND_ENTRIES_PER_LINE: Final = 6

Legend = tuple[tuple[str, Color], ...]
"""Names and colours of classes"""


@dataclass(frozen=True)
class Cell:
    """A picture of a grid, with the line above it."""

    picture: str
    """As a ``data:`` URI"""
    size_px: tuple[int, int]
    """Height and width"""
    caption: str = ""
    """Markup, in which names from files are ``plain``"""


def draw_pictures(
    cells: Sequence[Cell], legend: Legend, *, num_linked: int = NUM_COLUMNS, headings: Sequence[str] = ()
) -> go.Figure:
    """Draw pictures row by row, with the legend of the classes below.

    Args:
        cells: The pictures, NUM_COLUMNS a row.
        legend: The classes in the pictures.
        num_linked: Number of pictures after each other that zoom together: those of a row, or all.
        headings: Markup above each column.
    """
    num_rows = math.ceil(len(cells) / NUM_COLUMNS)
    # Plotly takes a gap as a share of the whole figure, not of a row.
    figure = make_subplots(num_rows, NUM_COLUMNS, horizontal_spacing=COLUMN_GAP, vertical_spacing=ROW_GAP / num_rows)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    for index, cell in enumerate(cells):
        _add_picture(figure, index + 1, cell, linked_to=index - index % num_linked + 1)
        if cell.caption:
            _add_caption(figure, index + 1, cell.caption, yshift=2)
    for index, heading in enumerate(headings):
        _add_caption(figure, index + 1, f"<b>{heading}</b>", yshift=CAPTION_PX - 1)
    for name, color in legend:
        marker = {"symbol": "square", "size": 12, "color": f"rgb{color}", "line": {"width": 1, "color": MUTED}}
        # Pictures have no legend entries, so traces without points carry the classes.
        figure.add_scatter(x=[None], y=[None], name=plain(name), mode="markers", marker=marker)
    top_px = 2 * CAPTION_PX if headings else CAPTION_PX
    legend_px = 16 + 20 * math.ceil(len(legend) / LEGEND_ENTRIES_PER_LINE)
    height_per_width = _height_per_width(cells[0].size_px, num_rows)
    styled(
        figure,
        round(top_px + legend_px + 1000 * height_per_width),
        margin={"l": 0, "r": 0, "t": top_px, "b": legend_px},
        legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "xanchor": "left"},
        # Plotly keeps a figure's height when its width changes; report.js computes the height from these.
        meta={"height_per_width": height_per_width, "extra_height_px": top_px + legend_px},
    )
    return figure


def open_picture(folder: Folder, name: str) -> Image.Image:
    """Read a picture whole.

    Raises:
        DamagedError: The file is missing or damaged.
    """
    if not folder.is_file(name):
        raise folder.damaged(name, "there is no such file")
    try:
        image = Image.open(io.BytesIO(folder.read_bytes(name)))
        # Image.open() reads only the header; a file that was cut short raises here.
        image.load()
    except PICTURE_DAMAGE as error:
        raise folder.damaged(name, in_short(error)) from None
    return image


def open_photo(folder: Folder, name: str) -> Image.Image:
    """Read a photo, shrunk to MAX_WIDTH_PX.

    Raises:
        DamagedError: The file is missing or damaged.
    """
    photo = open_picture(folder, name).convert("RGB")
    photo.thumbnail((MAX_WIDTH_PX, MAX_WIDTH_PX))
    return photo


def read_ids(folder: Folder, name: str) -> np.ndarray:
    """Read class ids from a PNG, (height, width).

    Raises:
        DamagedError: The file is missing or damaged, or holds something else.
    """
    image = open_picture(folder, name)
    if image.mode not in ("P", "L"):
        raise folder.damaged(name, f"it must hold one id per pixel, but its mode is {image.mode}")
    return np.asarray(image)


def same_size(folder: Folder, name: str, truth: np.ndarray) -> np.ndarray:
    """Read class ids of the size of the true ones.

    Raises:
        DamagedError: The file is missing or damaged, or holds something else.
    """
    ids = read_ids(folder, name)
    if ids.shape != truth.shape:
        raise folder.damaged(name, f"it must be {truth.shape[1]}x{truth.shape[0]} px, as the labels are")
    return ids


def shrunk(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return class ids at another width and height."""
    # Any other resampling would mix ids of neighbouring classes into ids of a third class.
    return np.asarray(Image.fromarray(ids).resize(size, Image.Resampling.NEAREST))


def accuracy(truth: np.ndarray, prediction: np.ndarray) -> float | None:
    """Return the share of labelled pixels that are right; None if all pixels are void."""
    labelled = truth != IGNORE_INDEX
    return float((truth == prediction)[labelled].mean()) if labelled.any() else None


def class_palette(colors: tuple[Color, ...]) -> np.ndarray:
    """Return the colour of every id, (256, 3); ids without a class, such as the ignore index, are shown as void."""
    palette = np.full((256, 3), VOID_COLOR, dtype=np.uint8)
    palette[: len(colors)] = colors
    return palette


def class_legend(results: SweepResults, present: set[int]) -> Legend:
    """Return the legend of the classes whose ids are present."""
    named = enumerate(zip(results.info.classes, results.info.colors, strict=True))
    return tuple(entry for index, entry in named if index in present)


def png_uri(ids: np.ndarray, palette: np.ndarray) -> str:
    """Return ids as a picture in the colours of a palette."""
    image = Image.frombytes("P", (ids.shape[1], ids.shape[0]), ids.tobytes())
    image.putpalette(palette.tobytes())
    return _uri(image, "png", optimize=True)


def jpeg_uri(photo: Image.Image) -> str:
    """Return a photo as a picture; as a JPEG, which would blend the colours of neighbouring classes in a label."""
    return _uri(photo, "jpeg", quality=85)


def _uri(image: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _axis(letter: str, number: int) -> str:
    return letter if number == 1 else f"{letter}{number}"


def _add_picture(figure: go.Figure, number: int, cell: Cell, linked_to: int) -> None:
    height_px, width_px = cell.size_px
    figure.add_layout_image(
        source=cell.picture,
        xref=_axis("x", number),
        yref=_axis("y", number),
        x=0,
        y=0,
        sizex=width_px,
        sizey=height_px,
        sizing="stretch",
        layer="above",
    )
    for letter, limits in (("x", [0, width_px]), ("y", [height_px, 0])):
        matches = None if number == linked_to else _axis(letter, linked_to)
        figure.layout[f"{letter}axis{number}"].update(range=limits, matches=matches)


def _add_caption(figure: go.Figure, number: int, caption: str, yshift: int) -> None:
    figure.add_annotation(
        text=caption,
        xref=_axis("x", number) + " domain",
        yref=_axis("y", number) + " domain",
        x=0,
        y=1,
        xanchor="left",
        yanchor="bottom",
        xshift=-3,
        yshift=yshift,
        showarrow=False,
    )


def _height_per_width(size_px: tuple[int, int], num_rows: int) -> float:
    height_px, width_px = size_px
    picture_width = (1 - COLUMN_GAP * (NUM_COLUMNS - 1)) / NUM_COLUMNS
    return num_rows * picture_width * height_px / width_px / (1 - ROW_GAP * (num_rows - 1) / num_rows)
