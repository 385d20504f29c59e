"""Whether configs differ by more than the luck of their seeds: intervals, a test, and the chance to be the best.

All of it rests on one linear model: a score is the mean of its config, plus an effect of the seed that all configs
share, plus noise of one variance for all configs. Three to five configs with two to five seeds each tell too little for
a variance of each config's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from scipy.special import stdtr, stdtrit

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

Scores: TypeAlias = Mapping[str, Mapping[int, float]]
"""Trial -> seed -> score; a higher score is better"""

CONFIDENCE: Final = 0.95
"""The share of intervals that hold the true mean."""

NUM_DRAWS: Final = 40_000
"""Draws from the posterior; a probability that is counted from them has a standard error of at most 0.0025."""

_SMALLEST_VARIANCE: Final = 1e-18
"""Scores may be equal, or differ by rounding alone, which must not look like a certain difference."""


@dataclass(frozen=True)
class _Fit:
    """The least-squares fit of the model."""

    trials: tuple[str, ...]
    means: Array
    """One per trial"""
    covariance: Array
    """Covariance of the means, in units of the variance; (trials, trials)"""
    variance: float
    degrees: int
    """Degrees of freedom of the variance"""

    def error(self, first: int, second: int) -> float:
        """Return the standard error of the difference of two means."""
        units = self.covariance
        return float(np.sqrt(self.variance * (units[first, first] + units[second, second] - 2 * units[first, second])))


def intervals(scores: Scores) -> dict[str, tuple[float, float]]:
    """Return trial -> t interval of its mean over seeds; empty if no trial has two seeds."""
    fit = _fit(scores, paired=False)
    if fit is None:
        return {}
    reach = stdtrit(fit.degrees, (1 + CONFIDENCE) / 2) * np.sqrt(fit.variance * np.diag(fit.covariance))
    bounds = zip(fit.means - reach, fit.means + reach, strict=True)
    return {trial: (float(low), float(high)) for trial, (low, high) in zip(fit.trials, bounds, strict=True)}


def clearly_worse(scores: Scores, level: float) -> dict[str, float]:
    """Return trial -> p-value, for the trials that are clearly worse than the one with the best mean.

    One-sided paired t-tests with a pooled variance, after Bonferroni's correction for the comparisons that each trial
    is in: a simple form of Hsu's multiple comparisons with the best (Hsu, Annals of Statistics 12, 1984). The trial
    that is the best in truth is among the returned ones in at most a share ``level`` of all cases.

    Args:
        scores: What to compare.
        level: Largest p-value of a clear difference.
    """
    fit = _fit(scores, paired=True)
    if fit is None:
        return {}
    leader, num_comparisons = int(np.argmax(fit.means)), len(fit.trials) - 1
    found = {}
    for index, trial in enumerate(fit.trials):
        if index != leader:
            statistic = (fit.means[index] - fit.means[leader]) / fit.error(index, leader)
            found[trial] = num_comparisons * float(stdtr(fit.degrees, statistic))
    return {trial: value for trial, value in found.items() if value <= level}


def chances(scores: Scores) -> dict[str, float]:
    """Return trial -> posterior probability that its mean is the best; empty if too few seeds tell the noise.

    The prior is flat in means and seed effects, and in the logarithm of the noise; the posterior of the means is then a
    multivariate t distribution (Box and Tiao, Bayesian Inference in Statistical Analysis, 1973, section 2.7).
    """
    if len(scores) < 2:
        return dict.fromkeys(scores, 1.0)
    fit = _fit(scores, paired=True)
    if fit is None:
        return {}
    random = np.random.default_rng(0)
    scales = np.sqrt(fit.variance * fit.degrees / random.chisquare(fit.degrees, NUM_DRAWS))
    noise = random.standard_normal((NUM_DRAWS, len(fit.trials))) @ np.linalg.cholesky(fit.covariance).T
    winners = np.argmax(fit.means + scales[:, None] * noise, axis=1)
    shares = np.bincount(winners, minlength=len(fit.trials)) / NUM_DRAWS
    return dict(zip(fit.trials, shares.tolist(), strict=True))


def _fit(scores: Scores, *, paired: bool) -> _Fit | None:
    """Fit the means; None if there are too few scores to tell the noise.

    Args:
        scores: Trial -> seed -> score; each trial has at least one.
        paired: Whether to take out what a seed does to all trials alike.
    """
    cells = [(trial, seed, score) for trial, of_trial in scores.items() for seed, score in of_trial.items()]
    trials, seeds = tuple(scores), sorted({seed for _, seed, _ in cells})
    of_trial = np.array([[trial == other for other in trials] for trial, _, _ in cells], dtype=float)
    # The first seed has the effect 0.
    of_seed = np.array([[seed == other for other in seeds[1:]] for _, seed, _ in cells], dtype=float)
    values = np.array([score for _, _, score in cells])
    # Trials that share no seed, as after failures, cannot be compared seed by seed: they are compared by their means.
    for design in [np.hstack([of_trial, of_seed]), of_trial] if paired else [of_trial]:
        degrees = len(cells) - design.shape[1]
        if degrees > 0 and np.linalg.matrix_rank(design) == design.shape[1]:
            inverse = np.linalg.inv(design.T @ design)
            found = inverse @ design.T @ values
            variance = float(np.sum((values - design @ found) ** 2)) / degrees
            size = len(trials)
            units = inverse[:size, :size]
            return _Fit(trials, found[:size], units, max(variance, _SMALLEST_VARIANCE), degrees)
    return None
