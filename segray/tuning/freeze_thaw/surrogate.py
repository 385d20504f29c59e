"""A Gaussian process over configs and the share of their schedule, which predicts the end of every learning curve.

The score of config x after a share t of its schedule is modelled as

    mean curve(t) + level(x) + shape(x, t) + own level of the trial + own shape of the trial(t) + noise

with kernels over configs that are smooth in every key (Matern 5/2 with a length for each), and exponential kernels over
log t. What is like nothing seen before keeps a wide spread, and what two epochs say of the end follows from the curves
that were seen to their ends: where early ranks mean little, the model learns to trust them little. The idea is that of
freeze-thaw Bayesian optimisation (Swersky, Snoek and Adams 2014) and of DyHPO (Wistuba et al. 2022).
"""

from __future__ import annotations

import contextlib
import copy
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FIT_STEPS: Final = 12
"""Steps of L-BFGS, from the same start each time, so that a resumed search fits what an unbroken one does"""
LOWEST: Final = -3.0
"""Scores are cut off so many spreads below the median: how bad a bad config is says little about the good ones"""
JITTER: Final = 1e-6
"""Added to the noise, in squared spreads: far above what float64 loses with parameters within ``BOUNDS``"""
BOUNDS: Final = (-12.0, 6.0)
"""Logarithms beyond which a parameter has no further effect: a step of the fit must not leave positive definiteness"""


@dataclass(frozen=True)
class Observations:
    """Observed scores."""

    trials: NDArray[np.int64]
    """Index of each observation's trial, (observations,)"""
    shares: NDArray[np.float64]
    """Share of the trial's schedule, above 0 and at most 1"""
    scores: NDArray[np.float64]
    """Higher is better; minus infinity at the end of a trial whose values cannot be trained"""


class Surrogate:
    """The model, fitted to what was observed.

    Args:
        gaps: How far the trials are apart in each key, (trials, trials, keys).
        seen: The observations.
        fitted: The observations, or some of them, by which the parameters are chosen.
        both_ends: Whether low values matter as much as high ones; of scores, bad ones do not.
    """

    def __init__(
        self, gaps: NDArray[np.float64], seen: Observations, fitted: Observations, *, both_ends: bool = False
    ) -> None:
        scores = seen.scores[np.isfinite(seen.scores)]
        middle = float(np.median(scores))
        # The spread of the upper half, which the search is about; bad configs may be far worse than the rest.
        counted = scores if both_ends else scores[scores >= middle]
        self._middle, self._scale = middle, float(np.sqrt(((counted - middle) ** 2).mean())) or 1.0
        self._lowest = -math.inf if both_ends else LOWEST
        self._gaps, self._weights = torch.from_numpy(gaps), _Weights(gaps.shape[-1])
        self._observe(fitted)
        self._fit()
        self._observe(seen)
        self._solve()

    def ends(
        self, gaps: NDArray[np.float64], trials: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the scores at the end of the schedule.

        Args:
            gaps: How far the asked configs are from the trials, (asked, trials, keys).
            trials: Index of each asked config's trial if it has begun; None for new configs.

        Returns:
            Means and standard deviations, in the unit of the scores.
        """
        with torch.no_grad():
            near = self._weights.near(torch.from_numpy(gaps))[:, self._trials]
            same = torch.zeros_like(near)
            if trials is not None:
                same = (torch.from_numpy(trials)[:, None] == self._trials[None]).double()
            times = torch.zeros(len(near), dtype=torch.float64)
            across = self._weights.kernel(near, same, times, self._times)
            solved = torch.linalg.solve_triangular(self._factor, across.T, upper=False)
            mean = across @ self._solved
            variance = self._weights.variance_at_end() - (solved**2).sum(dim=0)
            spread = variance.clamp_min(1e-10).sqrt()
        return mean.numpy() * self._scale + self._middle, spread.numpy() * self._scale

    def noise_at_end(self) -> float:
        """Return the standard deviation between trials of one config at the end, in the unit of the scores."""
        with torch.no_grad():
            return float(self._weights.own_variance().sqrt()) * self._scale

    def believing(self, trials: NDArray[np.int64], gaps: NDArray[np.float64]) -> Surrogate:
        """Return the same model with trials that end as it expects: what is like them has less to win.

        Args:
            trials: Indices of the trials.
            gaps: How far they are from the trials, (trials, all trials, keys).
        """
        ends, _ = self.ends(gaps, trials)
        believing = copy.copy(self)
        believing._observe(
            Observations(
                np.concatenate([self._seen.trials, trials]),
                np.concatenate([self._seen.shares, np.ones(len(trials))]),
                np.concatenate([self._seen.scores, ends]),
            )
        )
        believing._solve()
        return believing

    def _observe(self, seen: Observations) -> None:
        self._seen = seen
        self._trials = torch.from_numpy(seen.trials)
        self._times = torch.log(torch.from_numpy(seen.shares))
        self._targets = torch.from_numpy(np.maximum((seen.scores - self._middle) / self._scale, self._lowest))
        self._same = (self._trials[:, None] == self._trials[None]).double()
        self._noise = torch.eye(len(self._trials), dtype=torch.float64)

    def _fit(self) -> None:
        parameters = self._weights.parameters
        optimizer = torch.optim.LBFGS(parameters, lr=0.5, max_iter=FIT_STEPS, line_search_fn="strong_wolfe")

        best, kept = math.inf, [parameter.detach().clone() for parameter in parameters]

        def loss() -> Tensor:
            nonlocal best, kept
            optimizer.zero_grad()
            factor = self._cholesky()
            solved = torch.cholesky_solve(self._targets[:, None], factor)[:, 0]
            misfit = 0.5 * self._targets @ solved + factor.diagonal().log().sum()
            value = misfit + self._weights.negative_log_prior()
            value.backward()  # type: ignore[no-untyped-call]
            if value.item() < best:
                best, kept = value.item(), [parameter.detach().clone() for parameter in parameters]
            return value

        # Curves without any noise can drive a step to parameters that are no numbers; the best ones before it stay.
        with contextlib.suppress(RuntimeError):
            optimizer.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)

    def _solve(self) -> None:
        with torch.no_grad():
            self._factor = self._cholesky()
            self._solved = torch.cholesky_solve(self._targets[:, None], self._factor)[:, 0]

    def _cholesky(self) -> Tensor:
        near = self._weights.near(self._gaps)[self._trials][:, self._trials]
        kernel = self._weights.kernel(near, self._same, self._times, self._times)
        factor: Tensor = torch.linalg.cholesky(kernel + (self._weights.noise() + JITTER) * self._noise)
        return factor


class _Weights:
    """The parameters of the kernels, as logarithms, with normal priors around where each starts."""

    def __init__(self, num_keys: int) -> None:
        # A long length for each key at first: with few trials, most keys matter little.
        self._lengths = _parameter([math.log(math.sqrt(max(num_keys, 1)))] * num_keys)
        # Variances of level, shape, own level, own shape and noise, in squared spreads of the scores.
        self._variances = _parameter([math.log(v) for v in (0.5, 0.5, 0.05, 0.05, 0.01)])
        # Lengths of shape and own shape over log t: an epoch at half the schedule is 0.7 from the end.
        self._times = _parameter([math.log(2.0), math.log(1.0)])
        self.parameters = [self._lengths, self._variances, self._times]
        self._starts = [parameter.detach().clone() for parameter in self.parameters]
        self._widths = (1.0, 1.0, 0.7)

    def noise(self) -> Tensor:
        return _value(self._variances)[4]

    def own_variance(self) -> Tensor:
        """Return the variance of a score at the end between trials of one config."""
        return _value(self._variances)[2:].sum()

    def near(self, gaps: Tensor) -> Tensor:
        """Return how alike configs are, from 0 to 1, (first, second), by their gaps (first, second, keys)."""
        return _matern(((gaps / _value(self._lengths)) ** 2).sum(dim=-1))

    def kernel(self, near: Tensor, same: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Return the covariances of observations.

        Args:
            near: How alike their configs are, (first, second).
            same: 1 where both are of one trial, else 0, (first, second).
            first: Log shares, (first,).
            second: Log shares, (second,).
        """
        level, shape, own_level, own_shape, _ = _value(self._variances)
        apart = (first[:, None] - second[None]).abs()
        shape_time, own_time = _value(self._times)
        mean_curve = 4.0 + 4.0 * first[:, None] * second[None]
        smooth = near * (level + shape * torch.exp(-apart / shape_time))
        own: Tensor = same * (own_level + own_shape * torch.exp(-apart / own_time))
        total: Tensor = own + smooth + mean_curve
        return total

    def variance_at_end(self) -> Tensor:
        """Return the prior variance of a score at the end."""
        return 4.0 + _value(self._variances)[:4].sum()

    def negative_log_prior(self) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for parameter, start, width in zip(self.parameters, self._starts, self._widths, strict=True):
            total = total + 0.5 * (((parameter - start) / width) ** 2).sum()
        return total


def _parameter(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def _value(logarithms: Tensor) -> Tensor:
    value: Tensor = logarithms.clamp(*BOUNDS).exp()
    return value


def _matern(squared: Tensor) -> Tensor:
    # The gradient of a root at 0 is infinite.
    distance = (5.0 * squared + 1e-12).sqrt()
    return torch.exp(-distance) * (1.0 + distance + distance**2 / 3.0)
