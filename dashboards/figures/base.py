"""The type of a figure, and the error of a figure that has nothing to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go

from segray.errors import SegrayError
from segray.results import SweepResults


class NothingToDrawError(SegrayError):
    """The sweep has no data for a figure yet; the message is a sentence that the report shows instead."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the report."""

    title: str
    reading: str
    """One sentence: what the figure shows and how to read it"""
    plot: Callable[[SweepResults], go.Figure]
    """Draws the figure, or raises NothingToDrawError"""
    compares_trials: bool = False
    """Whether the figure says nothing about one trial alone; the report of a single run then leaves it out"""
    of_test_images: bool = False
    """Whether the figure shows the test images; the report leaves it out if the best trial has no test scores"""
    min_width_px: int = 0
    """Width below which the figure scrolls sideways instead of shrinking"""
