"""How well an early score tells the end: the rank correlation of scores at a share of the schedule with final ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

SHARES: Final = tuple(number / 12 for number in range(1, 12))
"""Shares of a schedule at which the agreement is measured."""
TOP_SHARE: Final = 0.1

Curve = Mapping[float, float]
"""Share of the schedule -> best score so far, higher is better; 1 is the end."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The agreement at one share of the schedule, over trials that were trained to their end."""

    share: float
    correlation: float
    """Spearman's rank correlation with the final scores; NaN if all scores are equal"""
    top_lost: float
    """Share of the trials that ended in the top tenth and that a rung at this share would have stopped"""


def agreements(curves: Sequence[Curve], shares: Sequence[float] = SHARES, kept: float = 1 / 3) -> list[Agreement]:
    """Return the agreement at each share.

    Args:
        curves: Trials that were trained to their end.
        shares: Shares of the schedule, in ascending order.
        kept: Share of the trials that a rung lets go on.
    """
    finals = np.array([curve[1.0] for curve in curves])
    return [_agreement(share, np.array([_at(curve, share) for curve in curves]), finals, kept) for share in shares]


def first_rung(curves: Sequence[Curve], least: float, shares: Sequence[float] = SHARES) -> float:
    """Return the smallest share from which on ranks agree with the end; 1 if they never do.

    Args:
        curves: Trials that were trained to their end.
        least: Least rank correlation.
        shares: Shares to choose from, in ascending order.
    """
    found = 1.0
    for agreement in reversed(agreements(curves, shares)):
        if not agreement.correlation >= least:
            break
        found = agreement.share
    return found


def _at(curve: Curve, share: float) -> float:
    """Return the best score so far at a share; a trial that has not come to its first epoch has none."""
    return max((score for at, score in curve.items() if at <= share + 1e-9), default=-math.inf)


def _agreement(share: float, early: NDArray[np.float64], finals: NDArray[np.float64], kept: float) -> Agreement:
    known = np.isfinite(early)
    same = len(np.unique(early[known])) < 2 or len(np.unique(finals[known])) < 2
    correlation = math.nan if same or not known.all() else float(spearmanr(early, finals).statistic)
    count = len(finals)
    top = np.argsort(-finals, kind="stable")[: max(math.ceil(TOP_SHARE * count), 1)]
    going_on = set(np.argsort(-early, kind="stable")[: max(math.ceil(kept * count), 1)].tolist())
    return Agreement(share=share, correlation=correlation, top_lost=float(np.mean([t not in going_on for t in top])))
