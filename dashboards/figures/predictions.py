"""Predictions beside truth: a few fixed validation images with the best trial's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.pictures import (
    MIN_WIDTH_PX,
    VOID_COLOR,
    Cell,
    Legend,
    accuracy,
    class_legend,
    class_palette,
    draw_pictures,
    jpeg_uri,
    open_photo,
    png_uri,
    read_ids,
    same_size,
    shrunk,
)
from dashboards.figures.style import plain
from segray import text
from segray.errors import DamagedError
from segray.labels import IGNORE_INDEX
from segray.results import SweepResults

COLUMNS: Final = ("photo", "truth", "prediction", "errors")
MAX_IMAGES: Final = 4
ERROR_COLOR: Final = (213, 94, 0)
RIGHT_COLOR: Final = (222, 226, 230)


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
    legend: Legend


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
    cells = []
    for sample in info.samples:
        right = "" if sample.accuracy is None else f": {text.percent(sample.accuracy)} of the labelled pixels right"
        captions = (f"{plain(sample.stem)}{right}", "", "", "")
        cells += [Cell(*cell) for cell in zip(sample.pictures, [sample.size_px] * len(COLUMNS), captions, strict=True)]
    headings = [f"{name}, trial {plain(info.trial)}" if name == "prediction" else name for name in COLUMNS]
    return draw_pictures(cells, info.legend, headings=headings)


def plot_predictions(results: SweepResults) -> go.Figure:
    """Plot photo, truth and prediction of a few validation images."""
    return draw_predictions(predictions_info(results))


FIGURE = Figure(
    title="Predictions beside truth",
    reading="Fixed validation images with the best trial's predictions: wrong pixels are orange in the last column, "
    "void pixels are black. Drag over a picture to zoom its row; double-click to return.",
    plot=plot_predictions,
    min_width_px=MIN_WIDTH_PX,
)


def _read_samples(results: SweepResults, trial: str, stems: list[str]) -> PredictionsInfo:
    shared, own = results.files.folder.child("samples"), results.files.trial(trial).folder.child("samples")
    palette = class_palette(results.info.colors)
    samples, present, damage = [], set(), ""
    for stem in stems:
        try:
            photo = open_photo(shared, f"{stem}_photo.png")
            truth = read_ids(shared, f"{stem}_truth.png")
            prediction = same_size(own, f"{stem}_prediction.png", truth)
        except DamagedError as error:
            # A damaged picture costs its own row, not the figure.
            damage = str(error)
            continue
        present |= {*np.unique(truth), *np.unique(prediction)}
        samples.append(_sample(stem, photo, truth, prediction, palette))
    if not samples:
        raise NothingToDrawError(f"The sample images cannot be drawn: {damage}.")
    return PredictionsInfo(trial, tuple(samples), class_legend(results, present))


def _sample(stem: str, photo: Image.Image, truth: np.ndarray, prediction: np.ndarray, palette: np.ndarray) -> Sample:
    share = accuracy(truth, prediction)
    truth, prediction = (shrunk(ids, photo.size) for ids in (truth, prediction))
    # Void pixels count as neither right nor wrong, as in the scores.
    errors = np.where(truth != IGNORE_INDEX, np.where(truth == prediction, 0, 1), 2).astype(np.uint8)
    return Sample(
        stem=stem,
        size_px=(photo.height, photo.width),
        pictures=(
            jpeg_uri(photo),
            png_uri(truth, palette),
            png_uri(prediction, palette),
            png_uri(errors, np.array([RIGHT_COLOR, ERROR_COLOR, VOID_COLOR], dtype=np.uint8)),
        ),
        accuracy=share,
    )
