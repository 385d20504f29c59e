"""IoU per class of the best trials, each at its best epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import MUTED, SERIES, plain, styled
from segray import text
from segray.results import SweepResults

NUM_TRIALS: Final = len(SERIES)


@dataclass(frozen=True)
class ClassScore:
    """One class."""

    name: str
    color: tuple[int, int, int]
    ious: tuple[float | None, ...]
    """IoU in each trial; None if the class is not in the mean, because no validation label has it"""


@dataclass(frozen=True)
class ClassesInfo:
    """The best trials, best first, and the classes, sorted by the best trial's IoU from the highest."""

    trials: tuple[str, ...]
    classes: tuple[ClassScore, ...]


def classes_info(results: SweepResults) -> ClassesInfo:
    """Gather the per-class IoU of the best trials at their best epochs.

    Raises:
        NothingToDrawError: No trial that did not fail has per-class scores.
    """
    best = results.ranked[["id", "best_epoch"]].rename(columns={"id": "trial", "best_epoch": "epoch"})
    scores = results.classes.merge(best, on=["trial", "epoch"])
    # A trial has no scores here if the record of its best epoch is damaged.
    trials = tuple(trial for trial in best["trial"] if trial in set(scores["trial"]))[:NUM_TRIALS]
    if not trials:
        raise NothingToDrawError("No trial has per-class scores yet.")
    iou = {(row["trial"], row["class"]): row["iou"] for row in scores.to_dict("records")}
    classes = [
        ClassScore(name, color, tuple(_known(iou.get((trial, name))) for trial in trials))
        for name, color in zip(results.info.classes, results.info.colors, strict=True)
    ]
    return ClassesInfo(trials, tuple(sorted(classes, key=_strength, reverse=True)))


def draw_classes(info: ClassesInfo) -> go.Figure:
    """Draw a row per class: its colour, a mark per trial, and the best trial's value."""
    names = [plain(score.name) for score in info.classes]
    figure = go.Figure()
    # The best trial is drawn last, so that its marks lie on top.
    for rank in reversed(range(len(info.trials))):
        _add_trial(figure, info, rank, names)
    _add_colors(figure, info, names)
    _add_best_values(figure, info, names)
    styled(figure, 110 + 28 * len(names), margin={"l": 8, "r": 64, "t": 12, "b": 8})
    # Fixed ticks: the axis begins below 0 to have room for the classes' colours.
    marks = [0, 20, 40, 60, 80, 100]
    figure.update_xaxes(
        title_text="IoU", range=[-5, 101], tickvals=marks, ticktext=[f"{mark}\u00a0%" for mark in marks]
    )
    return figure.update_yaxes(autorange="reversed", ticksuffix="  ")


def plot_classes(results: SweepResults) -> go.Figure:
    """Plot the IoU per class of the best trials."""
    return draw_classes(classes_info(results))


FIGURE = Figure(
    title="IoU per class",
    reading="IoU of each class in the best trials, at each trial's best epoch: "
    "the classes at the bottom hold the mean down, and where trials differ most, a combination may gain. "
    "A class with a dash is not in the mean, because no validation image has it.",
    plot=plot_classes,
)


def _strength(score: ClassScore) -> float:
    best_iou = score.ious[0]
    # Not `best_iou or -1.0`: an IoU of 0 is a score, and comes before classes without one.
    return -1.0 if best_iou is None else best_iou


def _known(iou: float | None) -> float | None:
    return None if text.is_missing(iou) else iou


def _add_trial(figure: go.Figure, info: ClassesInfo, rank: int, names: list[str]) -> None:
    ious = [score.ious[rank] for score in info.classes]
    trial, color = plain(info.trials[rank]), SERIES[rank]
    figure.add_scatter(
        x=[None if iou is None else 100 * iou for iou in ious],
        y=names,
        name=f"trial {trial}",
        legendrank=rank,
        mode="markers",
        marker={
            "color": color,
            "size": 11 if rank == 0 else 9,
            "symbol": ("circle", "diamond-open", "square-open")[rank],
            "line": {"width": 2, "color": color},
        },
        hovertext=[f"trial {trial}, {name}: {text.percent(iou)}" for name, iou in zip(names, ious, strict=True)],
        hoverinfo="text",
        cliponaxis=False,
    )


def _add_colors(figure: go.Figure, info: ClassesInfo, names: list[str]) -> None:
    """Add a square of each class's colour beside its name."""
    figure.add_scatter(
        x=[-3.0] * len(names),
        y=names,
        mode="markers",
        marker={
            "symbol": "square",
            "size": 12,
            "color": [f"rgb{score.color}" for score in info.classes],
            "line": {"width": 1, "color": MUTED},
        },
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
    )


def _add_best_values(figure: go.Figure, info: ClassesInfo, names: list[str]) -> None:
    """Add the best trial's IoU of each class as a column of text."""
    figure.add_scatter(
        x=[101] * len(names),
        y=names,
        mode="text",
        text=[text.percent(score.ious[0]) for score in info.classes],
        textposition="middle right",
        textfont={"color": SERIES[0]},
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
    )
