"""Confirmation: the best trial and the baseline over further seeds, to tell a gain from chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

import pandas as pd

from segray import text
from segray.objective import Objective
from segray.results.searched import Row


@dataclass(frozen=True)
class Spread:
    """Scores of one config with different seeds, or differences of scores; fractions."""

    values: tuple[float, ...]
    """One value per seed, in the order of the seeds; at least one"""

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return fmean(self.values)

    @property
    def low(self) -> float:
        """The lowest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The highest value."""
        return max(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation; None for a single value."""
        # The seeds are a sample of all seeds, so the divisor is n - 1; statistics.stdev() raises for a single value.
        return stdev(self.values) if len(self.values) > 1 else None

    def as_json(self) -> dict[str, object]:
        """Return the values and their statistics by name, in types that JSON has."""
        return {
            "values": list(self.values),
            "mean": self.mean,
            "min": self.low,
            "max": self.high,
            "standard_deviation": self.deviation,
        }


@dataclass(frozen=True)
class Confirmation:
    """The repeats of the best trial and of the baseline, with the same further seeds and number of epochs."""

    trial: str
    """Id of the best trial"""
    epochs: int
    seeds: tuple[int, ...]
    """The seeds with a score of every compared trial"""
    objective: Objective
    best: Spread
    """Best scores of the best trial's repeats"""
    baseline: Spread | None
    """Best scores of the baseline's repeats; None if the baseline is the best trial itself or failed in the search"""

    @cached_property
    def gain(self) -> Spread | None:
        """The best trial's score less the baseline's, seed by seed; below 0 if a lower score is better."""
        if self.baseline is None:
            return None
        pairs = zip(self.best.values, self.baseline.values, strict=True)
        return Spread(tuple(best - baseline for best, baseline in pairs))

    @property
    def overlaps(self) -> bool:
        """Whether the worst repeat of the best trial is no better than the best repeat of the baseline."""
        if self.baseline is None:
            return False
        rank = self.objective.rank
        return min(map(rank, self.best.values)) <= max(map(rank, self.baseline.values))

    @property
    def counted_seeds(self) -> str:
        """The number of seeds in words."""
        return text.counted(len(self.seeds), "seed")

    def as_json(self) -> dict[str, object]:
        """Return all scores, in types that JSON has."""
        baseline, gain = self.baseline, self.gain
        return {
            "trial": self.trial,
            "epochs": self.epochs,
            "seeds": list(self.seeds),
            "best": self.best.as_json(),
            "baseline": baseline and baseline.as_json(),
            "gain": gain and gain.as_json(),
            "overlaps": self.overlaps,
        }


def confirm(repeats: pd.DataFrame, objective: Objective, best: Row, baseline_id: str | None) -> Confirmation | None:
    """Compare the repeats of the best trial with the baseline's repeats.

    Args:
        repeats: The result of ``raced_repeats``.
        objective: The score that is compared.
        best: Row of the best trial.
        baseline_id: Id of the baseline; None if there is no baseline to compare with.

    Returns:
        None if no seed has a score of every compared trial.
    """
    # A repeat that --trial-timeout stopped has trained for fewer epochs than the others, so it does not count either.
    valid = repeats[(repeats["outcome"] == "finished") & repeats[objective.column].notna()]
    compared = {best["id"], baseline_id}
    scores = {trial: valid[valid["trial"] == trial].set_index("seed")[objective.column] for trial in compared}
    of_best, of_baseline = scores[best["id"]], scores[baseline_id]
    seeds = of_best.index.sort_values()
    if baseline_id is not None:
        # The gain is paired by seed, so a seed without a score of both says nothing about it.
        seeds = seeds.intersection(of_baseline.index)
    if seeds.empty:
        return None
    return Confirmation(
        trial=best["id"],
        epochs=int(best["train.epochs"]),
        seeds=tuple(int(seed) for seed in seeds),
        objective=objective,
        best=Spread(tuple(of_best[seeds])),
        baseline=None if baseline_id is None else Spread(tuple(of_baseline[seeds])),
    )
