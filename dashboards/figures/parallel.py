"""Parallel coordinates: each trial as a line through its searched values to its score.

The figure is drawn from plain lines. Plotly's own parcoords trace has no hover label and needs WebGL and evaluated
code, which printers, remote desktops and a strict content policy do not offer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import GRID, hover, plain, styled, wrapped
from segray import text
from segray.objective import Objective
from segray.results import SearchedKey, SweepResults
from segray.results.searched import Row

HEADING_PX: Final = 12
SMALL_HEADING_PX: Final = 10
MANY_AXES: Final = 8
"""Number of axes above which headings are small, so that a word such as discriminator does not reach the next axis"""
LOW_TO_HIGH: Final = ["rgb(172, 180, 189)", "rgb(103, 164, 214)", "rgb(30, 108, 220)"]


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    position: float
    """0 at the bottom to 1 at the top"""
    label: str


NOT_DRAWN: Final = Tick(0.0, "not drawn")
DRAWN_FROM: Final = 0.15
"""Position of the lowest value on an axis that not all trials drew"""


@dataclass(frozen=True)
class Axis:
    """One searched key, or the score."""

    label: str
    is_log: bool
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class TrialLine:
    """One trial."""

    positions: tuple[float, ...]
    """Position on each axis, 0 to 1"""
    score: float
    hover: str


@dataclass(frozen=True)
class ParallelInfo:
    """Axes from left to right with the score last; lines from the worst to the best."""

    axes: tuple[Axis, ...]
    lines: tuple[TrialLine, ...]


def parallel_info(results: SweepResults) -> ParallelInfo:
    """Place every trial that has a score and did not fail on the axes.

    Raises:
        NothingToDrawError: There are fewer than two such trials, or no key was searched.
    """
    # From the worst to the best, so that the best lines are drawn last and lie on top.
    trials = results.ranked.iloc[::-1]
    if len(trials) < 2 or not results.searched:
        raise NothingToDrawError(
            f"This figure needs a searched key and at least two trials with a score; there are {len(trials)} trials."
        )
    rows = trials.to_dict("records")
    scales = [_scale(key, rows) for key in results.searched]
    objective = results.info.objective
    scores = trials[objective.column].tolist()
    scales.append(_score_scale(objective, scores))
    columns = [scale.positions for scale in scales]
    lines = tuple(
        TrialLine(tuple(column[index] for column in columns), scores[index], hover(results, row))
        for index, row in enumerate(rows)
    )
    return ParallelInfo(tuple(scale.axis for scale in scales), lines)


def draw_parallel(info: ParallelInfo) -> go.Figure:
    """Draw axes as vertical lines and trials across them, coloured by the rank of their score."""
    # Coloured by rank, because a few trials stopped at a bad score would use up a scale by value.
    figure = go.Figure()
    for index, line in enumerate(info.lines):
        rank = index / (len(info.lines) - 1)
        figure.add_scatter(
            x=list(range(len(info.axes))),
            y=line.positions,
            mode="lines",
            line={
                "color": sample_colorscale(LOW_TO_HIGH, rank)[0],
                # The cube makes only the best lines strong, so that many trials do not hide them.
                "width": 1.0 + 2.2 * rank**3,
                "shape": "spline",
                "smoothing": 0.5,
            },
            opacity=0.45 + 0.5 * rank**3,
            hovertext=line.hover,
            hoverinfo="text",
            showlegend=False,
        )
    for place, axis in enumerate(info.axes):
        _draw_axis(figure, place, axis, heading_px=HEADING_PX if len(info.axes) <= MANY_AXES else SMALL_HEADING_PX)
    styled(figure, 440, margin={"l": 12, "r": 12, "t": 62, "b": 4})
    figure.update_xaxes(visible=False, range=[-0.12, len(info.axes) - 0.45])
    return figure.update_yaxes(visible=False, range=[-0.04, 1.04])


def plot_parallel(results: SweepResults) -> go.Figure:
    """Plot each trial as a line through its searched values to its score."""
    return draw_parallel(parallel_info(results))


FIGURE = Figure(
    title="Parallel coordinates",
    reading="Each line is a trial, from its searched values to its score; the bluer and thicker, the better: "
    "where the strong lines run together, the best trials agree.",
    plot=plot_parallel,
    compares_trials=True,
    min_width_px=1000,
)


@dataclass(frozen=True)
class _Scale:
    axis: Axis
    positions: tuple[float, ...]


def _scale(key: SearchedKey, trials: Sequence[Row]) -> _Scale:
    """Return the scale of a key; trials that did not draw the key meet at a separate position at the bottom."""
    is_drawn = [key.is_drawn(trial) for trial in trials]
    # Failed trials are not in the figure, and only they drew the key.
    if not any(is_drawn):
        return _Scale(Axis(key.label, False, (NOT_DRAWN,)), (NOT_DRAWN.position,) * len(trials))
    scale = _scale_of_drawn(key, [trial[key.key] for trial in itertools.compress(trials, is_drawn)])
    if all(is_drawn):
        return scale
    ticks = (NOT_DRAWN, *(replace(tick, position=_above(tick.position)) for tick in scale.axis.ticks))
    positions = iter(scale.positions)
    return _Scale(
        replace(scale.axis, ticks=ticks),
        tuple(_above(next(positions)) if drawn else NOT_DRAWN.position for drawn in is_drawn),
    )


def _above(position: float) -> float:
    return DRAWN_FROM + (1 - DRAWN_FROM) * position


def _scale_of_drawn(key: SearchedKey, values: Sequence[Any]) -> _Scale:
    if key.kind == "choice":
        return _choice_scale(key.label, [text.value(value) for value in values])
    return _number_scale(key.label, values, is_log=key.kind == "log", label=_short_number)


def _choice_scale(label: str, values: Sequence[str]) -> _Scale:
    # Sorted as text, 16 would come before 8.
    choices = sorted(set(values), key=_natural)
    places = {choice: (index + 0.5) / len(choices) for index, choice in enumerate(choices)}
    ticks = tuple(Tick(place, choice) for choice, place in places.items())
    return _Scale(Axis(label, False, ticks), tuple(places[value] for value in values))


def _score_scale(objective: Objective, scores: Sequence[float]) -> _Scale:
    """Return the scale of the score, the best one at the top."""
    scale = _number_scale(objective.label, scores, is_log=False, label=objective.shown)
    if objective.direction == "maximize":
        return scale
    ticks = tuple(replace(tick, position=1 - tick.position) for tick in scale.axis.ticks)
    return _Scale(replace(scale.axis, ticks=ticks), tuple(1 - position for position in scale.positions))


def _number_scale(name: str, values: Sequence[float], *, is_log: bool, label: Callable[[float], str]) -> _Scale:
    numbers = [math.log10(value) if is_log else value for value in values]
    low, high = min(numbers), max(numbers)
    # The distance of two equal ends would divide by zero below.
    if low == high:
        return _Scale(Axis(name, is_log, (Tick(0.5, label(values[0])),)), (0.5,) * len(values))
    ends = ((place, low + place * (high - low)) for place in (0.0, 0.5, 1.0))
    ticks = tuple(Tick(place, label(10**number if is_log else number)) for place, number in ends)
    return _Scale(Axis(name, is_log, ticks), tuple((number - low) / (high - low) for number in numbers))


def _short_number(number: float) -> str:
    # The ends of an axis are drawn values, with as many digits as a float has.
    return text.value(float(f"{number:.2g}"))


def _natural(choice: str) -> tuple[int, float, str]:
    try:
        return (0, float(choice), choice)
    except ValueError:
        return (1, 0.0, choice)


def _draw_axis(figure: go.Figure, place: int, axis: Axis, heading_px: int) -> None:
    figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, line={"color": GRID, "width": 2}, layer="below")
    # One word per line: the headings of neighbouring axes must not overlap.
    heading = plain(axis.label).replace(" ", "<br>").replace(".", ".<br>")
    figure.add_annotation(
        x=place,
        yref="y domain",
        y=1,
        yanchor="bottom",
        align="left",
        text=f"<b>{heading}</b>{'<br>log scale' if axis.is_log else ''}",
        showarrow=False,
        xanchor="left",
        xshift=-6,
        font={"size": heading_px},
    )
    for tick in axis.ticks:
        figure.add_annotation(
            x=place,
            y=tick.position,
            text=wrapped(tick.label),
            xanchor="left",
            align="left",
            xshift=3,
            showarrow=False,
            font={"size": 12},
        )
