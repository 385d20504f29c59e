"""Repeats: the best trial and the baseline with further seeds."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, MUTED, plain, styled
from segray.objective import Objective
from segray.results import Spread, SweepResults
from segray.results.notes import notes, repeat_options


@dataclass(frozen=True)
class RepeatedTrial:
    """The repeats of one trial."""

    name: str
    scores: Spread
    is_best: bool


@dataclass(frozen=True)
class RepeatsInfo:
    """The compared trials, the best first."""

    objective: Objective
    seeds: tuple[int, ...]
    trials: tuple[RepeatedTrial, ...]


def repeats_info(results: SweepResults) -> RepeatsInfo:
    """Gather the repeats that can be compared.

    Raises:
        NothingToDrawError: No repeats can be compared.
    """
    found = results.confirmation()
    if found is None:
        reasons = [note.text for note in notes(results, ("failed_repeats",))]
        reasons += [f"No trial has been repeated with further seeds; {repeat_options(results)} repeats some."]
        # Failed repeats come first: advice to repeat is no use then, because a failed repeat counts as done.
        raise NothingToDrawError(reasons[0])
    trials = [RepeatedTrial(f"trial {found.trial}", found.best, is_best=True)]
    if found.baseline is not None:
        trials.append(RepeatedTrial(results.info.baseline_name, found.baseline, is_best=False))
    return RepeatsInfo(found.objective, found.seeds, tuple(trials))


def draw_repeats(info: RepeatsInfo) -> go.Figure:
    """Draw a row per trial: its repeats as dots, their mean as a bar."""
    figure, objective = go.Figure(), info.objective
    for trial in info.trials:
        color, name = ACCENT if trial.is_best else MUTED, plain(trial.name)
        figure.add_scatter(
            x=[objective.factor * score for score in trial.scores.values],
            y=[name] * len(info.seeds),
            mode="markers",
            marker={"color": color, "size": 11, "opacity": 0.8},
            hovertext=[
                f"<b>{name}</b>, seed {seed}: {objective.shown(score)}"
                for seed, score in zip(info.seeds, trial.scores.values, strict=True)
            ],
            hoverinfo="text",
            showlegend=False,
        )
        figure.add_scatter(
            x=[objective.factor * trial.scores.mean],
            y=[name],
            mode="markers",
            marker={"symbol": "line-ns", "size": 22, "line": {"width": 2.5, "color": "#d55e00"}},
            hovertext=[f"mean of {name} {objective.shown(trial.scores.mean)}"],
            hoverinfo="text",
            showlegend=False,
        )
    styled(figure, 90 + 44 * len(info.trials))
    title = f"best {plain(objective.label)}"
    figure.update_xaxes(title_text=title, ticksuffix=objective.unit, nticks=6, tickangle=0)
    return figure.update_yaxes(range=[len(info.trials) - 0.4, -0.6], showgrid=False, ticksuffix="  ", type="category")


def plot_repeats(results: SweepResults) -> go.Figure:
    """Plot the best scores of the best trial and the baseline with further seeds."""
    return draw_repeats(repeats_info(results))


FIGURE = Figure(
    title="Best trial and baseline, repeated",
    reading="Each dot is the same config with another seed, and the bar is their mean: "
    "where the two rows overlap, the gain may be chance.",
    plot=plot_repeats,
    compares_trials=True,
)
