"""What every figure file offers, and how a figure says that there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from segray.errors import SegrayError
from segray.results import SweepResults


class NothingToDrawError(SegrayError):
    """The sweep has not given what a figure shows; the message is a sentence for its reader."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the report."""

    title: str
    reading: str
    """One sentence: what is drawn and how to read it"""
    plot: Callable[[SweepResults], go.Figure]
    """Draws it, or raises NothingToDrawError"""
    compares_trials: bool = False
    """Left out of the report of a single run"""
    min_width_px: int = 0
    """On a narrower screen the figure scrolls sideways instead of shrinking"""
