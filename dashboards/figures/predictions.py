"""Predictions beside truth: a few fixed validation images with the best trial's predictions."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import MUTED, plain, styled
from segray import text
from segray.errors import DamagedError
from segray.folder import Folder
from segray.foreign import PICTURE_DAMAGE, in_short
from segray.labels import IGNORE_INDEX, Color
from segray.results import SweepResults

COLUMNS: Final = ("photo", "truth", "prediction", "errors")
MAX_IMAGES: Final = 4
# Twice the width of a picture on the widest page (four beside each other in 1056 px), for zooming.
MAX_WIDTH_PX: Final = 512
ERROR_COLOR: Final = (213, 94, 0)
RIGHT_COLOR: Final = (222, 226, 230)
VOID_COLOR: Final = (0, 0, 0)
COLUMN_GAP: Final = 0.012
ROW_GAP: Final = 0.16
"""Gap above a row for its caption, as a share of the row's height"""
HEADINGS_PX: Final = 46
LEGEND_ENTRIES_PER_LINE: Final = 6


@dataclass(frozen=True)
class Sample:
    """One validation image; pictures are ``data:`` URIs of one size."""

    stem: str
    size_px: tuple[int, int]
    """Height and width"""
    pictures: tuple[str, ...]
    """One per COLUMNS"""
    accuracy: float | None
    """Share of labelled pixels that are right; None if all pixels are void"""


@dataclass(frozen=True)
class PredictionsInfo:
    """The samples of the best trial that has any, and the classes in the samples."""

    trial: str
    samples: tuple[Sample, ...]
    legend: tuple[tuple[str, Color], ...]


def predictions_info(results: SweepResults) -> PredictionsInfo:
    """Read the sweep's sample images and the predictions of the best trial that has any.

    Raises:
        NothingToDrawError: There are no sample images, or no successful trial has predictions for them.
    """
    suffix = "_truth.png"
    stems = [name.removesuffix(suffix) for name in results.files.folder.names("samples") if name.endswith(suffix)]
    for trial in results.ranked["id"]:
        drawn = set(results.files.trial(trial).folder.names("samples"))
        shown = [stem for stem in stems if f"{stem}_prediction.png" in drawn][:MAX_IMAGES]
        if shown:
            return _read_samples(results, trial, shown)
    raise NothingToDrawError("There are no sample images with predictions yet.")


def draw_predictions(info: PredictionsInfo) -> go.Figure:
    """Draw a row per image: photo, truth, prediction, errors; zooming in one picture zooms its row."""
    num_rows, num_columns = len(info.samples), len(COLUMNS)
    # Plotly takes a gap as a share of the whole figure, not of a row.
    figure = make_subplots(num_rows, num_columns, horizontal_spacing=COLUMN_GAP, vertical_spacing=ROW_GAP / num_rows)
    for index, sample in enumerate(info.samples):
        first = index * num_columns + 1
        for offset, picture in enumerate(sample.pictures):
            _add_picture(figure, first + offset, sample.size_px, picture, linked_to=first)
        right = "" if sample.accuracy is None else f": {text.percent(sample.accuracy)} of the labelled pixels right"
        _add_caption(figure, first, f"{plain(sample.stem)}{right}", yshift=2)
    for offset, name in enumerate(COLUMNS):
        heading = f"{name}, trial {plain(info.trial)}" if name == "prediction" else name
        _add_caption(figure, offset + 1, f"<b>{heading}</b>", yshift=22)
    for name, color in info.legend:
        marker = {"symbol": "square", "size": 12, "color": f"rgb{color}", "line": {"width": 1, "color": MUTED}}
        # Pictures have no legend entries, so traces without points carry the classes.
        figure.add_scatter(x=[None], y=[None], name=plain(name), mode="markers", marker=marker)
    height_per_width = _height_per_width(info)
    legend_px = 16 + 20 * math.ceil(len(info.legend) / LEGEND_ENTRIES_PER_LINE)
    styled(
        figure,
        round(HEADINGS_PX + legend_px + 1000 * height_per_width),
        margin={"l": 0, "r": 0, "t": HEADINGS_PX, "b": legend_px},
        legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "xanchor": "left"},
        # Plotly keeps a figure's height when its width changes; report.js computes the height from these.
        meta={"height_per_width": height_per_width, "extra_height_px": HEADINGS_PX + legend_px},
    )
    return figure


def plot_predictions(results: SweepResults) -> go.Figure:
    """Plot photo, truth and prediction of a few validation images."""
    return draw_predictions(predictions_info(results))


FIGURE = Figure(
    title="Predictions beside truth",
    reading="Fixed validation images with the best trial's predictions: wrong pixels are orange in the last column, "
    "void pixels are black. Drag over a picture to zoom its row; double-click to return.",
    plot=plot_predictions,
    min_width_px=720,
)


def _read_samples(results: SweepResults, trial: str, stems: list[str]) -> PredictionsInfo:
    shared, own = results.files.folder.child("samples"), results.files.trial(trial).folder.child("samples")
    palette = _palette(results.info.colors)
    samples, present, damage = [], set(), ""
    for stem in stems:
        try:
            photo = _open(shared, f"{stem}_photo.png").convert("RGB")
            photo.thumbnail((MAX_WIDTH_PX, MAX_WIDTH_PX))
            truth = _read_ids(shared, f"{stem}_truth.png", photo.size)
            prediction = _read_ids(own, f"{stem}_prediction.png", photo.size)
        except DamagedError as error:
            # A damaged picture costs its own row, not the figure.
            damage = str(error)
            continue
        present |= {*np.unique(truth), *np.unique(prediction)}
        samples.append(_sample(stem, photo, truth, prediction, palette))
    if not samples:
        raise NothingToDrawError(f"The sample images cannot be drawn: {damage}.")
    named = enumerate(zip(results.info.classes, results.info.colors, strict=True))
    return PredictionsInfo(trial, tuple(samples), tuple(entry for index, entry in named if index in present))


def _sample(stem: str, photo: Image.Image, truth: np.ndarray, prediction: np.ndarray, palette: np.ndarray) -> Sample:
    # Void pixels count as neither right nor wrong, as in the scores.
    labelled, right = truth != IGNORE_INDEX, truth == prediction
    errors = np.where(labelled, np.where(right, 0, 1), 2).astype(np.uint8)
    return Sample(
        stem=stem,
        size_px=(photo.height, photo.width),
        pictures=(
            # JPEG for the photo alone: in label images, it would blend the colours of neighbouring classes.
            _jpeg_uri(photo),
            _png_uri(truth, palette),
            _png_uri(prediction, palette),
            _png_uri(errors, np.array([RIGHT_COLOR, ERROR_COLOR, VOID_COLOR], dtype=np.uint8)),
        ),
        accuracy=float(right[labelled].mean()) if labelled.any() else None,
    )


def _open(folder: Folder, name: str) -> Image.Image:
    if not folder.is_file(name):
        raise folder.damaged(name, "there is no such file")
    try:
        image = Image.open(io.BytesIO(folder.read_bytes(name)))
        # Image.open() reads only the header; a file that was cut short raises here.
        image.load()
    except PICTURE_DAMAGE as error:
        raise folder.damaged(name, in_short(error)) from None
    return image


def _read_ids(folder: Folder, name: str, size: tuple[int, int]) -> np.ndarray:
    image = _open(folder, name)
    if image.mode not in ("P", "L"):
        raise folder.damaged(name, f"it must hold one id per pixel, but its mode is {image.mode}")
    # Any other resampling would mix ids of neighbouring classes into ids of a third class.
    return np.asarray(image.resize(size, Image.Resampling.NEAREST))


def _palette(colors: tuple[Color, ...]) -> np.ndarray:
    # Ids without a class, such as the ignore index, are shown as void.
    palette = np.full((256, 3), VOID_COLOR, dtype=np.uint8)
    palette[: len(colors)] = colors
    return palette


def _png_uri(ids: np.ndarray, palette: np.ndarray) -> str:
    image = Image.frombytes("P", (ids.shape[1], ids.shape[0]), ids.tobytes())
    image.putpalette(palette.tobytes())
    return _uri(image, "png", optimize=True)


def _jpeg_uri(photo: Image.Image) -> str:
    return _uri(photo, "jpeg", quality=85)


def _uri(image: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _axis(letter: str, number: int) -> str:
    return letter if number == 1 else f"{letter}{number}"


def _add_picture(figure: go.Figure, number: int, size_px: tuple[int, int], picture: str, linked_to: int) -> None:
    height_px, width_px = size_px
    figure.add_layout_image(
        source=picture,
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
        figure.layout[f"{letter}axis{number}"].update(visible=False, range=limits, matches=matches)


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


def _height_per_width(info: PredictionsInfo) -> float:
    height_px, width_px = info.samples[0].size_px
    num_rows, num_columns = len(info.samples), len(COLUMNS)
    picture_width = (1 - COLUMN_GAP * (num_columns - 1)) / num_columns
    return num_rows * picture_width * height_px / width_px / (1 - ROW_GAP * (num_rows - 1) / num_rows)
