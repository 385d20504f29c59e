"""Learning curves: the score by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import MUTED, SERIES, config_lines, plain, styled
from segray.objective import Objective
from segray.results import SweepResults

NUM_HIGHLIGHTED: Final = len(SERIES)


@dataclass(frozen=True)
class Curve:
    """One trial's score by epoch."""

    trial: str
    rank: int | None
    """0 for the best trial, 1 for the second, ...; None for a trial that is not highlighted"""
    epochs: tuple[int, ...]
    scores: tuple[float, ...]
    """NaN for an epoch without a score"""
    config: str
    """Searched values, for the hover label"""


@dataclass(frozen=True)
class CurvesInfo:
    """The curves; highlighted ones come last, the best at the very end."""

    objective: Objective
    curves: tuple[Curve, ...]


def curves_info(results: SweepResults) -> CurvesInfo:
    """Gather the curves of all trials with a record.

    Raises:
        NothingToDrawError: No trial has completed an epoch with a score.
    """
    # all() of no values is True, so the check also covers a sweep without records.
    objective = results.info.objective
    if results.epochs[objective.name].isna().all():
        raise NothingToDrawError(f"No trial has completed an epoch with a {objective.label} yet.")
    ranks = {trial: rank for rank, trial in enumerate(results.ranked["id"].head(NUM_HIGHLIGHTED))}
    configs = {row["id"]: config_lines(results.searched, row) for row in results.trials.to_dict("records")}
    curves = [
        Curve(
            trial=str(trial),
            rank=ranks.get(str(trial)),
            epochs=tuple(records["epoch"]),
            scores=tuple(records[objective.name]),
            config=configs[str(trial)],
        )
        for trial, records in results.epochs.groupby("trial")
    ]
    curves.sort(key=lambda curve: NUM_HIGHLIGHTED if curve.rank is None else curve.rank, reverse=True)
    return CurvesInfo(objective, tuple(curves))


def draw_curves(info: CurvesInfo) -> go.Figure:
    """Draw the curves."""
    figure, objective = go.Figure(), info.objective
    # Many curves together would hide the highlighted ones.
    grey_opacity = min(0.55, max(0.15, 15 / len(info.curves)))
    for curve in info.curves:
        highlighted = curve.rank is not None
        color = MUTED if curve.rank is None else SERIES[curve.rank]
        figure.add_scatter(
            x=curve.epochs,
            y=[objective.factor * score for score in curve.scores],
            name=f"trial {plain(curve.trial)}",
            legendrank=curve.rank,
            showlegend=highlighted,
            # Plotly draws no line for a trial with a single epoch, but it draws a marker.
            mode="lines+markers",
            line={"color": color, "width": 2.5 if highlighted else 1.2},
            marker={"size": 6 if highlighted else 3},
            opacity=1.0 if highlighted else grey_opacity,
            hovertext=[
                f"<b>trial {plain(curve.trial)}</b>, epoch {epoch}: {objective.shown(score)}{curve.config}"
                for epoch, score in zip(curve.epochs, curve.scores, strict=True)
            ],
            hoverinfo="text",
        )
    last_epoch = max(max(curve.epochs) for curve in info.curves)
    styled(figure, 420)
    figure.update_xaxes(
        title_text="epoch", showgrid=False, range=[0.7, last_epoch + 0.3], dtick=max(1, round(last_epoch / 10))
    )
    return figure.update_yaxes(title_text=plain(objective.label), ticksuffix=objective.unit, rangemode="tozero")


def plot_curves(results: SweepResults) -> go.Figure:
    """Plot the score by epoch, with the best trials highlighted."""
    return draw_curves(curves_info(results))


FIGURE = Figure(
    title="Learning curves",
    reading="The validation score after each epoch, with the best three trials in colour: "
    "curves that still improve at their end may gain from more epochs; curves that end early were stopped or failed.",
    plot=plot_curves,
)
