"""One photo over the epochs: the best trial's predictions of one validation image as training went on."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.pictures import (
    MIN_WIDTH_PX,
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
from segray.results import SweepResults


@dataclass(frozen=True)
class EpochPicture:
    """The predictions of one epoch."""

    epoch: int
    picture: str
    """As a ``data:`` URI"""
    accuracy: float | None
    """Share of labelled pixels that are right; None if all pixels are void"""


@dataclass(frozen=True)
class ProgressInfo:
    """A validation image with the predictions of several epochs of one trial; pictures are of one size."""

    trial: str
    stem: str
    size_px: tuple[int, int]
    """Height and width"""
    photo: str
    truth: str
    epochs: tuple[EpochPicture, ...]
    legend: Legend


def progress_info(results: SweepResults) -> ProgressInfo:
    """Read the predictions that the best trial kept of one image after several epochs.

    Raises:
        NothingToDrawError: The best trial kept no such predictions, or they are damaged.
    """
    trial = next(iter(results.ranked["id"]), None)
    named = [] if trial is None else results.files.trial(trial).folder.names("samples")
    kept = sorted((int(found[2]), found[1]) for name in named if (found := _EPOCH_FILE.fullmatch(name)))
    if trial is None or not kept:
        raise NothingToDrawError("The best trial has kept no predictions of its epochs.")
    shared, own = results.files.folder.child("samples"), results.files.trial(trial).folder.child("samples")
    stem, palette = kept[0][1], class_palette(results.info.colors)
    try:
        photo = open_photo(shared, f"{stem}_photo.png")
        truth = read_ids(shared, f"{stem}_truth.png")
        read = {epoch: same_size(own, f"{stem}_epoch_{epoch:04d}.png", truth) for epoch, _ in kept}
    except DamagedError as error:
        raise NothingToDrawError(f"The predictions of several epochs cannot be drawn: {error}.") from None
    present = set(np.unique([truth, *read.values()]).tolist())
    return ProgressInfo(
        trial=trial,
        stem=stem,
        size_px=(photo.height, photo.width),
        photo=jpeg_uri(photo),
        truth=png_uri(shrunk(truth, photo.size), palette),
        epochs=tuple(
            EpochPicture(epoch, png_uri(shrunk(ids, photo.size), palette), accuracy(truth, ids))
            for epoch, ids in read.items()
        ),
        legend=class_legend(results, present),
    )


def plot_progress(results: SweepResults) -> go.Figure:
    """Plot a photo, its truth, and the best trial's predictions after several epochs."""
    info = progress_info(results)
    cells = [
        Cell(info.photo, info.size_px, f"{plain(info.stem)}"),
        Cell(info.truth, info.size_px, "truth"),
        *(Cell(shown.picture, info.size_px, _caption(shown)) for shown in info.epochs),
    ]
    return draw_pictures(cells, info.legend, num_linked=len(cells))


FIGURE = Figure(
    title="One photo over the epochs",
    reading="The best trial's predictions of one validation image after epochs 1, 2, 4, 8 and so on, and after the "
    "last one of a whole training, with the share of labelled pixels that are right. Drag over a picture to zoom all; "
    "double-click to return.",
    plot=plot_progress,
    min_width_px=MIN_WIDTH_PX,
)

_EPOCH_FILE = re.compile(r"(.+)_epoch_(\d{4,})\.png")


def _caption(shown: EpochPicture) -> str:
    right = "" if shown.accuracy is None else f": {text.percent(shown.accuracy)} right"
    return f"epoch {shown.epoch}{right}"
