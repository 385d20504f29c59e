"""The Pareto front of a sweep with several objectives, and how its hypervolume grew from trial to trial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segray.goals import Goals
from segray.objective import Objective

HISTORY_COLUMNS = ("trial", "hypervolume")


def value_columns(objectives: Sequence[Objective]) -> list[str]:
    """Return the columns of the trials frame that hold the objectives: the best score, and the others beside it."""
    main, *others = objectives
    return [main.column, *(other.name for other in others)]


def pareto_front(trials: pd.DataFrame, goals: Goals) -> pd.DataFrame:
    """Return the trials that no other one dominates, the best by the main objective first.

    Args:
        trials: Trials with a model; one without a value of an objective is left out.
        goals: The objectives.
    """
    columns = value_columns(goals.objectives)
    known = trials.dropna(subset=columns)
    points = list(known[columns].itertuples(index=False, name=None))
    best = [not any(goals.dominates(other, point) for other in points) for point in points]
    front = known[np.array(best, bool)]
    return front.sort_values(columns[0], key=lambda scores: -scores.map(goals.main.rank), kind="stable")


def hypervolume_history(trials: pd.DataFrame, goals: Goals) -> pd.DataFrame:
    """Return one row per trial, by id: trial, and the hypervolume of all trials up to it.

    The hypervolume is the share of the box between the worst and the best value of each objective that some trial
    dominates, so it is 0 to 1, and 1 only if one trial is the best in everything.

    Args:
        trials: Trials with a model; one without a value of an objective adds nothing.
        goals: The objectives.
    """
    columns = value_columns(goals.objectives)
    ordered = trials.sort_values("id", kind="stable")
    values = {column: ordered[column].astype("float64") for column in columns}
    signs = [1.0 if objective.direction == "maximize" else -1.0 for objective in goals.objectives]
    points = np.column_stack([sign * values[column] for sign, column in zip(signs, columns, strict=True)])
    known = ~np.isnan(points).any(axis=1)
    low, high = (edge(points[known], axis=0) if known.any() else np.zeros(len(columns)) for edge in (np.min, np.max))
    # Where all trials have the same value, no trial is worse than the best.
    scaled = np.where(high > low, (points - low) / np.where(high > low, high - low, 1.0), 1.0)
    found: list[float] = []
    front = np.empty((0, len(columns)))
    for point, is_known in zip(scaled, known, strict=True):
        if is_known and not (front >= point).all(axis=1).any():
            front = np.vstack([front[~(front <= point).all(axis=1)], point])
            found.append(hypervolume(front))
        else:
            found.append(found[-1] if found else 0.0)
    return pd.DataFrame({"trial": ordered["id"].to_numpy(), "hypervolume": found}, columns=list(HISTORY_COLUMNS))


def hypervolume(points: NDArray[np.float64]) -> float:
    """Return the volume between the origin and some points, (points, axes), all at least 0: by slices of the last axis.

    An axis on which all points are 0 leaves nothing.
    """
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    ordered = points[np.argsort(-points[:, -1], kind="stable")]
    depths = ordered[:, -1] - np.append(ordered[1:, -1], 0.0)
    return float(sum(depth * hypervolume(ordered[: place + 1, :-1]) for place, depth in enumerate(depths) if depth > 0))
