"""Optimisation history: every trial's best mIoU in the order of start, and the best so far."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, MUTED, OUTCOME_COLORS, OUTCOME_SYMBOLS, hover, plain, styled
from segray import text
from segray.records import FAILURES
from segray.results import SweepResults


@dataclass(frozen=True)
class TrialPoint:
    """One trial."""

    number: int
    """Position in the order of start, from 1"""
    outcome: str
    miou: float | None
    hover: str


@dataclass(frozen=True)
class HistoryInfo:
    """Trials in the order of their start."""

    points: tuple[TrialPoint, ...]
    best_so_far: tuple[float | None, ...]
    """Highest mIoU up to each trial, without failed trials"""
    majority_class: str
    majority_miou: float
    first_name: str
    """Name of the first trial in a sentence"""
    first_miou: float | None
    """mIoU of the first trial, if it ran to its end"""


def history_info(results: SweepResults) -> HistoryInfo:
    """Gather the history.

    Raises:
        NothingToDrawError: No trial has started.
    """
    if results.trials.empty:
        raise NothingToDrawError("No trial has started yet.")
    points = tuple(
        TrialPoint(number, row["outcome"], _known(row["best_val_miou"]), hover(results.searched, row))
        for number, row in enumerate(results.trials.to_dict("records"), start=1)
    )
    best: float | None = None
    best_so_far = []
    for point in points:
        # A diverged trial may have reached a high mIoU, but its config is never recommended.
        if point.miou is not None and point.outcome not in FAILURES:
            best = point.miou if best is None else max(best, point.miou)
        best_so_far.append(best)
    first = results.first_trial()
    return HistoryInfo(
        points=points,
        best_so_far=tuple(best_so_far),
        majority_class=results.info.majority_class,
        majority_miou=results.info.majority_val_miou,
        first_name=results.info.baseline_name,
        # A baseline that was cut or failed would draw the line too low.
        first_miou=None if first is None or first["outcome"] != "finished" else _known(first["best_val_miou"]),
    )


def draw_history(info: HistoryInfo) -> go.Figure:
    """Draw the history; trials without an mIoU lie on the bottom line."""
    figure = go.Figure()
    figure.add_scatter(
        x=[point.number for point in info.points],
        y=[None if best is None else 100 * best for best in info.best_so_far],
        name="best so far",
        mode="lines",
        line={"color": ACCENT, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )
    for outcome, color in OUTCOME_COLORS.items():
        points = [point for point in info.points if point.outcome == outcome]
        if points:
            figure.add_scatter(
                x=[point.number for point in points],
                # A trial without an mIoU is drawn at 0, so that no failure is missing from the figure.
                y=[100 * (point.miou or 0.0) for point in points],
                name=text.words(outcome),
                mode="markers",
                marker={
                    "color": color,
                    "symbol": OUTCOME_SYMBOLS[outcome],
                    "size": 9,
                    "line": {"width": 2, "color": color},
                },
                hovertext=[point.hover for point in points],
                hoverinfo="text",
                cliponaxis=False,
            )
    _baseline(figure, info.majority_miou, f"majority class ({plain(info.majority_class)})")
    if info.first_miou is not None:
        _baseline(figure, info.first_miou, plain(info.first_name))
    styled(figure, 420)
    figure.update_xaxes(
        title_text="trial, in order of start", showgrid=False, range=[0.3, len(info.points) + 0.7], dtick=_step(info)
    )
    return figure.update_yaxes(title_text="best val mIoU", ticksuffix="\u00a0%", range=_limits(info))


def plot_history(results: SweepResults) -> go.Figure:
    """Plot the best mIoU of each trial in order of start, with the best so far and the baselines."""
    return draw_history(history_info(results))


FIGURE = Figure(
    title="Optimisation history",
    reading="Each mark is a trial at its best validation mIoU, or at 0 if it has none; the line is the best so far: "
    "where the line stays flat, further trials did not help.",
    plot=plot_history,
    compares_trials=True,
)


def _known(miou: float) -> float | None:
    return None if text.is_missing(miou) else miou


def _step(info: HistoryInfo) -> int:
    return max(1, round(len(info.points) / 10))


def _limits(info: HistoryInfo) -> tuple[float, float]:
    known = [point.miou for point in info.points if point.miou is not None]
    # The majority class is drawn too, and gives the axis a range if no trial has an mIoU.
    top = 100 * max([*known, info.majority_miou])
    return -0.05 * top, 1.08 * top


def _baseline(figure: go.Figure, miou: float, name: str) -> None:
    figure.add_hline(
        y=100 * miou,
        line={"color": MUTED, "width": 1, "dash": "dot"},
        annotation={"text": f"{name} {text.percent(miou)}", "font": {"size": 12}},
        # There is no room for text below a line at the bottom.
        annotation_position="bottom right" if miou > 0.1 else "top right",
    )
