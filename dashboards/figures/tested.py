"""Parts that the figures of the test images share."""

from __future__ import annotations

from typing import Final

from dashboards.figures.base import NothingToDrawError
from segray.results import SweepResults
from segray.split_scores import SplitScores

ONE_HUE: Final = (
    (0.0, "rgba(43, 125, 224, 0.05)"),
    (0.5, "rgba(43, 125, 224, 0.55)"),
    (1.0, "rgba(43, 125, 224, 0.95)"),
)
"""Colour scale from clear to blue, for light and dark backgrounds"""


def tested(results: SweepResults) -> SplitScores:
    """Return the best trial's test scores.

    Raises:
        NothingToDrawError: There are none.
    """
    if results.test is None:
        raise NothingToDrawError("The best trial has not been judged on test images.")
    return results.test
