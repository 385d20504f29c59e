"""Choices compared: the trials' best score per encoder, loss, policy and other searched choices."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, MUTED, hover, plain, styled, wrapped
from segray.objective import Objective
from segray.results import SearchedKey, SweepResults


@dataclass(frozen=True)
class ChoicePoint:
    """One trial that took a choice."""

    score: float
    is_cut: bool
    """Whether the trial did not run to its end"""
    hover: str


@dataclass(frozen=True)
class Choice:
    """One choice of a key, with its trials."""

    name: str
    points: tuple[ChoicePoint, ...]

    @property
    def median_score(self) -> float:
        """The median of the trials' best scores."""
        # Trials that were stopped at a bad score would pull a mean their way.
        return median(point.score for point in self.points)


@dataclass(frozen=True)
class ChoiceGroup:
    """One searched key with its choices, the best median first."""

    label: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class ChoicesInfo:
    """The searched keys for which trials took different choices."""

    objective: Objective
    groups: tuple[ChoiceGroup, ...]


def choices_info(results: SweepResults) -> ChoicesInfo:
    """Group the trials that have a score and did not fail by each choice.

    Raises:
        NothingToDrawError: No two such trials took different choices.
    """
    groups = [_group(results, key) for key in results.searched if key.kind == "choice"]
    compared = tuple(group for group in groups if len(group.choices) > 1)
    if not compared:
        raise NothingToDrawError("No two trials with a score differ in a choice such as encoder or loss.")
    return ChoicesInfo(results.info.objective, compared)


def draw_choices(info: ChoicesInfo) -> go.Figure:
    """Draw a row per choice below a heading per key: trials as dots, their median as a bar."""
    figure = go.Figure()
    names, rows, headings, row = [], [], [], 0.0
    for group in info.groups:
        headings.append((row, f"<b>{plain(group.label)}</b>"))
        for choice in group.choices:
            name = f"{wrapped(choice.name)} · {len(choice.points)}"
            # A name on two lines takes more room than a row has.
            row += 1.3 if "<br>" in name else 1
            rows.append((row, choice))
            names.append(name)
        row += 1.6
    # The medians are drawn last, so that they lie on top of the dots.
    _add_trials(figure, info.objective, rows, "trial", is_cut=False)
    _add_trials(figure, info.objective, rows, "not run to its end", is_cut=True)
    _add_medians(figure, info.objective, rows)
    styled(figure, round(100 + 27 * row))
    figure.update_layout(legend_y=1.0)
    # On a narrow screen, Plotly would tilt the labels of more ticks.
    title = f"best {plain(info.objective.label)}"
    figure.update_xaxes(title_text=title, ticksuffix=info.objective.unit, nticks=6, tickangle=0)
    return figure.update_yaxes(
        # Rows have numbers: on an axis of names, Plotly would merge two keys' choices with one name, such as none.
        tickvals=[place for place, _ in headings] + [place for place, _ in rows],
        ticktext=[heading for _, heading in headings] + names,
        range=[row - 0.8, -0.8],
        showgrid=False,
        ticksuffix="  ",
    )


def plot_choices(results: SweepResults) -> go.Figure:
    """Plot the trials' best score per searched choice."""
    return draw_choices(choices_info(results))


FIGURE = Figure(
    title="Choices compared",
    reading="Each dot is a trial's best score with the choice it took; the number after a name counts the trials. "
    "Compare the medians, and trust a choice with few dots less.",
    plot=plot_choices,
    compares_trials=True,
)


def _group(results: SweepResults, key: SearchedKey) -> ChoiceGroup:
    objective = results.info.objective
    points: dict[str, list[ChoicePoint]] = {}
    for row in filter(key.is_drawn, results.ranked.to_dict("records")):
        point = ChoicePoint(row[objective.column], row["outcome"] != "finished", hover(results, row))
        points.setdefault(key.shown(row), []).append(point)
    choices = [Choice(name, tuple(taken)) for name, taken in points.items()]
    choices.sort(key=lambda choice: objective.rank(choice.median_score), reverse=True)
    return ChoiceGroup(key.label, tuple(choices))


def _add_trials(
    figure: go.Figure, objective: Objective, rows: list[tuple[float, Choice]], name: str, *, is_cut: bool
) -> None:
    color = MUTED if is_cut else ACCENT
    points = [(place, point) for place, choice in rows for point in choice.points if point.is_cut == is_cut]
    figure.add_scatter(
        x=[objective.factor * point.score for _, point in points],
        y=[place for place, _ in points],
        name=name,
        mode="markers",
        marker={
            "color": color,
            "symbol": "circle-open" if is_cut else "circle",
            "size": 9,
            "opacity": 0.8,
            "line": {"width": 1.5, "color": color},
        },
        hovertext=[point.hover for _, point in points],
        hoverinfo="text",
    )


def _add_medians(figure: go.Figure, objective: Objective, rows: list[tuple[float, Choice]]) -> None:
    figure.add_scatter(
        x=[objective.factor * choice.median_score for _, choice in rows],
        y=[place for place, _ in rows],
        name="median",
        mode="markers",
        marker={"symbol": "line-ns", "size": 18, "line": {"width": 2.5, "color": "#d55e00"}},
        hovertext=[f"median {objective.shown(choice.median_score)}" for _, choice in rows],
        hoverinfo="text",
    )
