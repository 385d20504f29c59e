"""Calibration on the test images: how often the best trial is right when it is so sure."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import ACCENT, MUTED, styled
from dashboards.figures.tested import tested
from segray import text
from segray.results import SweepResults
from segray.split_scores import ConfidenceBin


@dataclass(frozen=True)
class CalibrationInfo:
    """The bins of confidence that hold pixels, from low to high."""

    ece: float
    bins: tuple[ConfidenceBin, ...]


def calibration_info(results: SweepResults) -> CalibrationInfo:
    """Gather the bins.

    Raises:
        NothingToDrawError: The test scores have no calibration.
    """
    found = tested(results).calibration
    if found is None or found.ece is None:
        raise NothingToDrawError(
            "The test scores have no calibration: an earlier version judged the images, or models are trained on "
            "K-Means clusters."
        )
    used = tuple(part for part in found.bins if part.confidence is not None)
    return CalibrationInfo(found.ece, used)


def draw_calibration(info: CalibrationInfo) -> go.Figure:
    """Draw accuracy over confidence, larger marks for more pixels, and the diagonal of a perfect model."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": MUTED, "dash": "dot"}, hoverinfo="skip", showlegend=False
    )
    figure.add_scatter(
        x=[100 * (part.confidence or 0) for part in info.bins],
        y=[100 * (part.accuracy or 0) for part in info.bins],
        mode="lines+markers",
        line={"color": ACCENT},
        marker={"color": ACCENT, "size": [6 + 22 * part.share**0.5 for part in info.bins]},
        hovertext=[
            f"{text.percent(part.share)} of the pixels: {text.percent(part.confidence)} sure, "
            f"{text.percent(part.accuracy)} right"
            for part in info.bins
        ],
        hoverinfo="text",
        showlegend=False,
        cliponaxis=False,
    )
    styled(figure, 380)
    figure.update_xaxes(title_text="confidence", range=[0, 102], ticksuffix="\u00a0%")
    return figure.update_yaxes(title_text="accuracy", range=[0, 102], ticksuffix="\u00a0%")


def plot_calibration(results: SweepResults) -> go.Figure:
    """Plot accuracy over confidence."""
    return draw_calibration(calibration_info(results))


FIGURE = Figure(
    title="Calibration on the test images",
    reading="How often pixels are right when the model is so sure; a larger mark stands for more pixels. "
    "Below the dotted line the model is too sure, above it not sure enough.",
    plot=plot_calibration,
    of_test_images=True,
)
