"""Optimisation history: every trial's best score in the order of start, and the best so far."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, MUTED, OUTCOME_COLORS, hover, outcome_marker, plain, styled
from segray import text
from segray.objective import Objective
from segray.records import FAILURES
from segray.results import SweepResults


@dataclass(frozen=True)
class TrialPoint:
    """One trial."""

    number: int
    """Position in the order of start, from 1"""
    outcome: str
    score: float | None
    hover: str


@dataclass(frozen=True)
class HistoryInfo:
    """Trials in the order of their start."""

    objective: Objective
    points: tuple[TrialPoint, ...]
    best_so_far: tuple[float | None, ...]
    """Best score up to each trial, without failed trials"""
    majority_class: str
    majority_score: float | None
    """Score of predicting the majority class everywhere; None for a score that has none, such as a loss"""
    first_name: str
    """Name of the first trial in a sentence"""
    first_score: float | None
    """Score of the first trial, if it ran to its end"""


def history_info(results: SweepResults) -> HistoryInfo:
    """Gather the history.

    Raises:
        NothingToDrawError: No trial has started.
    """
    if results.trials.empty:
        raise NothingToDrawError("No trial has started yet.")
    objective = results.info.objective
    points = tuple(
        TrialPoint(number, row["outcome"], _known(row[objective.column]), hover(results, row))
        for number, row in enumerate(results.trials.to_dict("records"), start=1)
    )
    best: float | None = None
    best_so_far = []
    for point in points:
        # A diverged trial may have reached a good score, but its config is never recommended.
        if point.outcome not in FAILURES:
            best = max(best, point.score, key=objective.rank)
        best_so_far.append(best)
    first = results.first_trial()
    return HistoryInfo(
        objective=objective,
        points=points,
        best_so_far=tuple(best_so_far),
        majority_class=results.info.majority_class,
        majority_score=results.info.majority_scores.get(objective.name),
        first_name=results.info.baseline_name,
        # A baseline that was cut or failed would look worse than it is.
        first_score=None if first is None or first["outcome"] != "finished" else _known(first[objective.column]),
    )


def draw_history(info: HistoryInfo) -> go.Figure:
    """Draw the history; trials without a score lie on the bottom line."""
    figure, factor = go.Figure(), info.objective.factor
    figure.add_scatter(
        x=[point.number for point in info.points],
        y=[None if best is None else factor * best for best in info.best_so_far],
        name="best so far",
        mode="lines",
        line={"color": ACCENT, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )
    for outcome in OUTCOME_COLORS:
        points = [point for point in info.points if point.outcome == outcome]
        if points:
            figure.add_scatter(
                x=[point.number for point in points],
                # A trial without a score is drawn at 0, so that no failure is missing from the figure.
                y=[factor * (point.score or 0.0) for point in points],
                name=text.words(outcome),
                mode="markers",
                marker=outcome_marker(outcome),
                hovertext=[point.hover for point in points],
                hoverinfo="text",
                cliponaxis=False,
            )
    if info.majority_score is not None:
        _baseline(figure, info, info.majority_score, f"majority class ({plain(info.majority_class)})")
    if info.first_score is not None:
        _baseline(figure, info, info.first_score, plain(info.first_name))
    styled(figure, 420)
    figure.update_xaxes(
        title_text="trial, in order of start", showgrid=False, range=[0.3, len(info.points) + 0.7], dtick=_step(info)
    )
    title = f"best {plain(info.objective.label)}"
    return figure.update_yaxes(title_text=title, ticksuffix=info.objective.unit, range=_limits(info))


def plot_history(results: SweepResults) -> go.Figure:
    """Plot the best score of each trial in order of start, with the best so far and the baselines."""
    return draw_history(history_info(results))


FIGURE = Figure(
    title="Optimisation history",
    reading="Each mark is a trial at its best score, or at 0 if it has none; the line is the best so far: "
    "where the line stays flat, further trials did not help.",
    plot=plot_history,
    compares_trials=True,
)


def _known(score: float) -> float | None:
    return None if text.is_missing(score) else score


def _step(info: HistoryInfo) -> int:
    return max(1, round(len(info.points) / 10))


def _limits(info: HistoryInfo) -> tuple[float, float]:
    # The baselines are drawn too, and the majority class gives the axis a range if no trial has a score.
    drawn = (*(point.score for point in info.points), info.majority_score, info.first_score)
    top = info.objective.factor * max((score for score in drawn if score is not None), default=1.0)
    return -0.05 * top, 1.08 * top


def _baseline(figure: go.Figure, info: HistoryInfo, score: float, name: str) -> None:
    low, high = _limits(info)
    place = info.objective.factor * score
    figure.add_hline(
        y=place,
        line={"color": MUTED, "width": 1, "dash": "dot"},
        annotation={"text": f"{name} {info.objective.shown(score)}", "font": {"size": 12}},
        # There is no room for text below a line at the bottom.
        annotation_position="bottom right" if place > low + 0.2 * (high - low) else "top right",
    )
