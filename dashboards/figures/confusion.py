"""The confusion of classes on the test images."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import plain, styled
from dashboards.figures.tested import ONE_HUE, tested
from segray import text
from segray.results import SweepResults


@dataclass(frozen=True)
class ConfusionInfo:
    """The classes that test labels hold, and what their pixels were predicted as."""

    labelled: tuple[str, ...]
    """Rows: the classes with labelled pixels"""
    predicted: tuple[str, ...]
    """Columns: the same classes first, then classes that are only predicted"""
    shares: tuple[tuple[float, ...], ...]
    """Share of a row's pixels that are predicted as each class"""
    pixels: tuple[int, ...]
    """Labelled pixels of each row"""


def confusion_info(results: SweepResults) -> ConfusionInfo:
    """Gather the confusion matrix, each row divided by its pixels.

    Raises:
        NothingToDrawError: The test scores hold no confusion matrix.
    """
    found = tested(results)
    if not any(map(any, found.confusion)):
        raise NothingToDrawError("The test images were judged by an earlier version, which kept no confusion matrix.")
    every = range(len(found.classes))
    rows = [index for index in every if sum(found.confusion[index])]
    columns = rows + [index for index in every if index not in rows and any(row[index] for row in found.confusion)]
    pixels = [sum(found.confusion[row]) for row in rows]
    shares = [
        tuple(found.confusion[row][column] / total for column in columns)
        for row, total in zip(rows, pixels, strict=True)
    ]
    names = found.classes
    return ConfusionInfo(
        tuple(names[row] for row in rows), tuple(names[column] for column in columns), tuple(shares), tuple(pixels)
    )


def draw_confusion(info: ConfusionInfo) -> go.Figure:
    """Draw a cell for each true and predicted class, stronger for a larger share of the true class."""
    rows, columns = [plain(name) for name in info.labelled], [plain(name) for name in info.predicted]
    figure = go.Figure()
    figure.add_heatmap(
        z=[[round(100 * share, 1) for share in row] for row in info.shares],
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        colorscale=ONE_HUE,
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        showscale=False,
        # Numbers below 1 % would hide the others.
        text=[[f"{100 * share:.0f}" if share >= 0.01 else "" for share in row] for row in info.shares],
        texttemplate="%{text}",
        textfont={"size": 11},
        hovertext=[
            [
                f"{text.percent(share)} of {row_name} predicted as {column_name}"
                for column_name, share in zip(columns, row, strict=True)
            ]
            for row_name, row in zip(rows, info.shares, strict=True)
        ],
        hoverinfo="text",
    )
    styled(figure, 130 + 26 * len(rows), margin={"l": 8, "r": 18, "t": 8, "b": 8})
    figure.update_xaxes(
        title_text="predicted class",
        tickvals=list(range(len(columns))),
        ticktext=columns,
        tickangle=-40,
        showgrid=False,
    )
    return figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[f"{name}  " for name in rows], autorange="reversed", showgrid=False
    )


def plot_confusion(results: SweepResults) -> go.Figure:
    """Plot what the pixels of each class were predicted as."""
    return draw_confusion(confusion_info(results))


FIGURE = Figure(
    title="Confusion on the test images",
    reading="Each row is a true class, in per cent of its pixels: the diagonal is right, and a strong colour "
    "beside it shows which class it is taken for.",
    plot=plot_confusion,
    of_test_images=True,
    min_width_px=620,
)
