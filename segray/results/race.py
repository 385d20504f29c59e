"""The race: the best trials and the baseline over further seeds, with the chance of each to be the best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import pandas as pd

from segray.objective import Objective
from segray.records import FAILURES
from segray.results.confirmation import Spread
from segray.results.searched import Row
from segray.results.significance import CONFIDENCE, chances, intervals
from segray.storage import BASELINE_ID

CLEAR: Final = CONFIDENCE
"""The probability of being the best from which on a race has a clear winner."""


@dataclass(frozen=True)
class Contestant:
    """A trial's config over further seeds."""

    trial: str
    epochs: int
    seeds: tuple[int, ...]
    """The seeds with a score; at least one"""
    scores: Spread
    """Best scores, in the order of the seeds"""
    interval: tuple[float, float] | None
    """95 % t interval of the mean; None if no contestant has two seeds"""
    num_diverged: int
    """Repeats that diverged"""
    chance: float | None
    """The probability of being the best of all contestants; None if too few seeds tell"""

    def as_json(self) -> dict[str, object]:
        """Return all of it by name, in types that JSON has."""
        return {
            "trial": self.trial,
            "epochs": self.epochs,
            "seeds": list(self.seeds),
            **self.scores.as_json(),
            "interval": self.interval and list(self.interval),
            "diverged": self.num_diverged,
            "probability_of_being_the_best": self.chance,
        }


@dataclass(frozen=True)
class Race:
    """Contestants with the same further seeds. One that was clearly worse than another left the race early."""

    contestants: tuple[Contestant, ...]
    """At least one, the most likely best one first"""

    @cached_property
    def winner(self) -> Contestant | None:
        """The most likely best one; None if there is no other, or too few seeds tell them apart."""
        first, *others = self.contestants
        return first if others and first.chance else None

    def of(self, trial: str) -> Contestant | None:
        """Return a trial's place in the race; None if the trial has none."""
        return next((contestant for contestant in self.contestants if contestant.trial == trial), None)

    def as_json(self) -> dict[str, object]:
        """Return the winner's id and all contestants, in types that JSON has."""
        return {
            "winner": self.winner and self.winner.trial,
            "contestants": [contestant.as_json() for contestant in self.contestants],
        }


def raced_repeats(repeats: pd.DataFrame, trials: pd.DataFrame, best: Row) -> pd.DataFrame:
    """Return the repeats of trials that did not fail, each with its own number of epochs, the baseline with the best's.

    Args:
        repeats: All repeats of the sweep.
        trials: Its trials.
        best: Row of the search's best trial.
    """
    sound = trials[~trials["outcome"].isin(FAILURES)]
    # Repeats of the baseline for the epochs of an earlier best trial stay in the sweep's folder.
    epochs = sound.set_index("id")["train.epochs"].where(sound["id"].ne(BASELINE_ID).to_numpy(), best["train.epochs"])
    return repeats[repeats["trial"].map(epochs) == repeats["epochs"]]


def race(repeats: pd.DataFrame, objective: Objective) -> Race | None:
    """Compare the contestants; None if no repeat has a score.

    A contestant that diverged with any seed counts as worse than all that did not, because a config must not depend on
    a lucky seed.

    Args:
        repeats: The result of ``raced_repeats``.
        objective: The score that is compared.
    """
    # A repeat that --trial-timeout stopped has trained for fewer epochs than the others, so it does not count.
    valid = repeats[(repeats["outcome"] == "finished") & repeats[objective.column].notna()].sort_values("seed")
    if valid.empty:
        return None
    scores = {
        str(trial): {int(seed): float(score) for seed, score in zip(rows["seed"], rows[objective.column], strict=True)}
        for trial, rows in valid.groupby("trial")
    }
    diverged = repeats.loc[repeats["outcome"] == "diverged", "trial"].value_counts()
    ranks = {
        trial: {seed: objective.rank(score) for seed, score in of_trial.items()}
        for trial, of_trial in scores.items()
        if trial not in diverged
    }
    bounds, found = intervals(scores), chances(ranks)
    # One that alone did not diverge has nobody to be compared with.
    if len(ranks) < 2:
        found = {}
    unsound = 0.0 if found else None
    contestants = [
        Contestant(
            trial=trial,
            epochs=int(valid["epochs"][valid["trial"] == trial].iloc[0]),
            seeds=tuple(of_trial),
            scores=Spread(tuple(of_trial.values())),
            interval=bounds.get(trial),
            num_diverged=int(diverged.get(trial, 0)),
            chance=found.get(trial, unsound),
        )
        for trial, of_trial in scores.items()
    ]
    return Race(tuple(sorted(contestants, key=lambda one: _place(one, objective))))


def _place(contestant: Contestant, objective: Objective) -> tuple[bool, float, float]:
    return contestant.num_diverged > 0, -(contestant.chance or 0.0), -objective.rank(contestant.scores.mean)
