"""Hyperparameter importance: the share of the score's variance that each searched key explains.

Computed by Optuna's fANOVA (Hutter et al., An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014).
Optuna's default, PED-ANOVA, compares the best tenth of the trials with the rest: two trials in a sweep of twenty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import optuna
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, plain, styled
from segray import text
from segray.objective import Objective
from segray.results import SearchedKey, SweepResults
from segray.results.searched import Row

MIN_TRIALS: Final = 8


@dataclass(frozen=True)
class ImportanceInfo:
    """Searched keys by importance, the highest first."""

    objective: Objective
    num_trials: int
    """Number of trials that the importance was computed from"""
    shares: tuple[tuple[str, float], ...]
    """Label and share of the variance; the shares sum to 1"""


def importance_info(results: SweepResults) -> ImportanceInfo:
    """Compute importances from the trials that have a score and did not fail.

    Raises:
        NothingToDrawError: There are too few such trials, or they do not differ.
    """
    trials, objective = results.ranked, results.info.objective
    if len(trials) < MIN_TRIALS:
        raise NothingToDrawError(
            f"Importances need at least {MIN_TRIALS} trials with a score; there are {len(trials)}."
        )
    rows = trials.to_dict("records")
    # fANOVA needs a value of every key in every trial.
    in_all = [key for key in results.searched if all(map(key.is_drawn, rows))]
    # A key with a single value explains nothing, and Optuna raises if the score has no variance.
    varied = [key for key in in_all if len({key.shown(row) for row in rows}) > 1]
    if not varied or trials[objective.column].nunique() == 1:
        raise NothingToDrawError(
            "All trials have the same score, or the same values of the keys that all of them drew."
        )
    with _quiet_optuna():
        study = _study(objective, varied, rows)
        # fANOVA grows a random forest: with a fixed seed, two reports of a sweep agree.
        shares = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
        )
    labels = {key.key: key.label for key in varied}
    return ImportanceInfo(objective, len(trials), tuple((labels[key], share) for key, share in shares.items()))


def draw_importance(info: ImportanceInfo) -> go.Figure:
    """Draw one bar per key, the most important on top."""
    labels = [plain(label) for label, _ in info.shares]
    shares = [share for _, share in info.shares]
    figure = go.Figure()
    figure.add_bar(
        x=[100 * share for share in shares],
        y=labels,
        orientation="h",
        width=0.55,
        marker={"color": ACCENT, "line": {"width": 0}},
        text=[f"{100 * share:.0f}\u00a0%" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    styled(figure, 70 + 34 * len(labels), margin={"l": 8, "r": 48, "t": 12, "b": 8})
    figure.update_xaxes(
        title_text=f"share of the variance of {plain(info.objective.label)} over {info.num_trials} trials",
        ticksuffix="\u00a0%",
        rangemode="tozero",
    )
    return figure.update_yaxes(autorange="reversed", showgrid=False, ticksuffix="  ")


def plot_importance(results: SweepResults) -> go.Figure:
    """Plot the share of the score's variance that each searched key explains."""
    return draw_importance(importance_info(results))


FIGURE = Figure(
    title="Hyperparameter importance",
    reading="The share of the differences in score that each searched key explains (fANOVA). "
    "The estimate is rough with few trials; stopped trials count with the score that they had reached. "
    "Keys that only some trials drew are left out.",
    plot=plot_importance,
    compares_trials=True,
)


def _study(objective: Objective, keys: Sequence[SearchedKey], rows: Sequence[Row]) -> optuna.Study:
    distributions = {key.key: _distribution(key, [row[key.key] for row in rows]) for key in keys}
    study = optuna.create_study(direction=objective.direction)
    study.add_trials(
        optuna.trial.create_trial(
            params={key.key: _parameter(key, row[key.key]) for key in keys},
            distributions=distributions,
            value=row[objective.column],
        )
        for row in rows
    )
    return study


def _distribution(key: SearchedKey, values: Sequence[Any]) -> BaseDistribution:
    if key.kind == "choice":
        # As text, because choices of different types, such as None and a number, cannot be sorted.
        return CategoricalDistribution(sorted({text.value(value) for value in values}))
    # The range that trials drew, since sweep.json describes the space only in words.
    return FloatDistribution(min(values), max(values), log=key.kind == "log")


def _parameter(key: SearchedKey, value: Any) -> str | float:
    return text.value(value) if key.kind == "choice" else float(value)


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    # Optuna would print a line for the new study among the lines of a sweep.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
