"""Early against final ranks: how far a score within the schedule tells which trials end best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, SERIES, styled
from segray import text
from segray.results import SweepResults
from segray.results.agreement import TOP_SHARE, Agreement, Curve, agreements

FEWEST_TRIALS: Final = 5
"""Number of whole trials below which ranks say nothing"""


@dataclass(frozen=True)
class AgreementInfo:
    """The agreement at several shares of the schedule."""

    num_trials: int
    num_top: int
    """Number of trials in the top tenth"""
    kept: float
    """Share of the trials that a rung would let go on"""
    points: tuple[Agreement, ...]


def agreement_info(results: SweepResults) -> AgreementInfo:
    """Gather the agreement over the trials that ran their whole schedule.

    Raises:
        NothingToDrawError: Too few have.
    """
    curves = whole_curves(results)
    if len(curves) < FEWEST_TRIALS:
        raise NothingToDrawError(
            f"Ranks need {FEWEST_TRIALS} trials that ran their whole schedule, but {len(curves)} did so far."
        )
    kept = 1 / (results.info.scheduler_settings.get("reduction_factor") or 3.0)
    return AgreementInfo(
        num_trials=len(curves),
        num_top=max(math.ceil(TOP_SHARE * len(curves)), 1),
        kept=kept,
        points=tuple(point for point in agreements(curves, kept=kept) if not math.isnan(point.correlation)),
    )


def whole_curves(results: SweepResults) -> list[Curve]:
    """Return the curves of the trials that ran their whole schedule; higher is better."""
    finished = results.trials[results.trials["outcome"] == "finished"]
    if finished.empty:
        return []
    objective = results.info.objective
    # A trial that its patience ended has a shorter schedule than its own.
    schedules = finished[finished["epochs"] == finished["train.epochs"]].set_index("id")["train.epochs"]
    scored = results.epochs[results.epochs["trial"].isin(schedules.index) & results.epochs[objective.column].notna()]
    curves = [
        {
            int(epoch) / int(schedules[trial]): objective.rank(score)
            for epoch, score in zip(rows["epoch"], rows[objective.column], strict=True)
        }
        for trial, rows in scored.groupby("trial")
    ]
    return [curve for curve in curves if 1.0 in curve]


def draw_agreement(info: AgreementInfo) -> go.Figure:
    """Draw both curves over the share of the schedule."""
    shares = [100 * point.share for point in info.points]
    figure = go.Figure()
    figure.add_scatter(
        x=shares,
        y=[point.correlation for point in info.points],
        name="rank correlation with the end",
        mode="lines+markers",
        line={"color": ACCENT, "width": 2},
        hovertemplate="%{x:.0f} % of the schedule: rank correlation %{y:.2f}<extra></extra>",
    )
    top = f"the best {text.counted(info.num_top, 'trial')}" if info.num_top > 1 else "the best trial"
    figure.add_scatter(
        x=shares,
        y=[point.top_lost for point in info.points],
        name=f"share of {top} that a rung here would stop",
        mode="lines+markers",
        line={"color": SERIES[1], "width": 2, "dash": "dot"},
        hovertemplate="%{x:.0f} % of the schedule: %{y:.0%} of " + top + " would be stopped<extra></extra>",
    )
    styled(figure, 360)
    figure.update_xaxes(title_text="share of a trial's schedule", ticksuffix=" %", range=[0, 100])
    lowest = min([0.0, *(point.correlation for point in info.points)])
    return figure.update_yaxes(range=[1.05 * lowest - 0.05, 1.05])


def plot_agreement(results: SweepResults) -> go.Figure:
    """Plot how far early ranks agree with the last ones, and what a rung would cost."""
    return draw_agreement(agreement_info(results))


FIGURE = Figure(
    title="Early against final ranks",
    reading="Over the trials that ran their whole schedule, at each twelfth of it: the rank correlation of the best "
    "score so far with the final one (1 is full agreement), and the share of the top tenth that a rung there would "
    "stop. Stopped and paused trials are not in the figure, so under early stopping it shows survivors, which are "
    "alike.",
    plot=plot_agreement,
    compares_trials=True,
)
