"""Repeats: the best trials and the baseline with further seeds."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, MUTED, plain, styled
from segray.objective import Objective
from segray.results import Contestant, SweepResults
from segray.results.notes import notes, repeat_options
from segray.storage import BASELINE_ID


@dataclass(frozen=True)
class RepeatsInfo:
    """The repeated trials by name, the most likely best one first."""

    objective: Objective
    trials: dict[str, Contestant]


def repeats_info(results: SweepResults) -> RepeatsInfo:
    """Gather the repeats that can be compared.

    Raises:
        NothingToDrawError: No repeats can be compared.
    """
    race, baseline = results.race, results.info.baseline_name
    if race is None:
        reasons = [note.text for note in notes(results, ("failed_repeats",))]
        reasons += [f"No trial has been repeated with further seeds; {repeat_options(results)} repeats some."]
        # Failed repeats come first: advice to repeat is no use then, because a failed repeat counts as done.
        raise NothingToDrawError(reasons[0])
    named = {baseline if one.trial == BASELINE_ID else f"trial {one.trial}": one for one in race.contestants}
    return RepeatsInfo(results.info.objective, named)


def draw_repeats(info: RepeatsInfo) -> go.Figure:
    """Draw a row per trial: its repeats as dots, their mean as a bar, the mean's interval as a line."""
    figure, objective = go.Figure(), info.objective
    for number, (name, trial) in enumerate(info.trials.items()):
        figure.add_scatter(**_dots(plain(name), trial, objective, ACCENT if number == 0 else MUTED))
        figure.add_scatter(**_mean(plain(name), trial, objective))
    styled(figure, 90 + 44 * len(info.trials))
    title = f"best {plain(objective.label)}"
    figure.update_xaxes(title_text=title, ticksuffix=objective.unit, nticks=6, tickangle=0)
    return figure.update_yaxes(range=[len(info.trials) - 0.4, -0.6], showgrid=False, ticksuffix="  ", type="category")


def _dots(name: str, trial: Contestant, objective: Objective, color: str) -> dict[str, object]:
    return {
        "x": [objective.factor * score for score in trial.scores.values],
        "y": [name] * len(trial.seeds),
        "mode": "markers",
        "marker": {"color": color, "size": 11, "opacity": 0.8},
        "hovertext": [
            f"<b>{name}</b>, seed {seed}: {objective.shown(score)}"
            for seed, score in zip(trial.seeds, trial.scores.values, strict=True)
        ],
        "hoverinfo": "text",
        "showlegend": False,
    }


def _mean(name: str, trial: Contestant, objective: Objective) -> dict[str, object]:
    mean, orange = trial.scores.mean, "#d55e00"
    said = [f"mean of {name} {objective.shown(mean)}"]
    bar: dict[str, object] = {}
    if trial.interval is not None:
        said.append(f"95 % interval {objective.shown_range(*trial.interval)}")
        reach = objective.factor * (trial.interval[1] - mean)
        bar = {"error_x": {"type": "data", "array": [reach], "color": orange, "thickness": 1.5, "width": 6}}
    if trial.chance is not None:
        said.append(f"probability of being the best {trial.chance:.2f}")
    return {
        "x": [objective.factor * mean],
        "y": [name],
        "mode": "markers",
        "marker": {"symbol": "line-ns", "size": 22, "line": {"width": 2.5, "color": orange}},
        "hovertext": ["<br>".join(said)],
        "hoverinfo": "text",
        "showlegend": False,
        **bar,
    }


def plot_repeats(results: SweepResults) -> go.Figure:
    """Plot the best scores of the repeated trials with further seeds."""
    return draw_repeats(repeats_info(results))


FIGURE = Figure(
    title="Best trials and baseline, repeated",
    reading="Each dot is the same config with another seed, the bar is their mean and the line its 95 % interval: "
    "where the rows overlap, the difference may be chance.",
    plot=plot_repeats,
    compares_trials=True,
)
