"""mIoU that the best trial keeps under corruptions of the test photos."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import plain, styled
from dashboards.figures.tested import ONE_HUE, tested
from segray import text
from segray.results import SweepResults


@dataclass(frozen=True)
class CorruptionsInfo:
    """The share of the clean mIoU that is left."""

    clean_miou: float
    names: tuple[str, ...]
    kept: tuple[tuple[float | None, ...], ...]
    """For each corruption, at each strength"""


def corruptions_info(results: SweepResults) -> CorruptionsInfo:
    """Gather the shares.

    Raises:
        NothingToDrawError: The best trial was not judged under corruptions.
    """
    found = tested(results).corruptions
    if found is None or not found.clean_miou:
        raise NothingToDrawError(
            "The best trial was not judged under rain, snow, fog, night, blur, noise and JPEG; "
            "segray evaluate --corruptions does it."
        )
    return CorruptionsInfo(found.clean_miou, tuple(found.miou), tuple(found.kept(name) for name in found.miou))


def draw_corruptions(info: CorruptionsInfo) -> go.Figure:
    """Draw a cell for each corruption and strength, stronger for a larger share of mIoU."""
    figure = go.Figure()
    names = [plain(name) for name in info.names]
    figure.add_heatmap(
        z=[[None if share is None else 100 * share for share in row] for row in info.kept],
        x=[f"strength {strength}" for strength in range(1, 1 + len(info.kept[0]))],
        y=[f"{name}  " for name in names],
        colorscale=ONE_HUE,
        zmin=0,
        zmax=100,
        xgap=2,
        ygap=2,
        showscale=False,
        text=[[text.percent(share) for share in row] for row in info.kept],
        texttemplate="%{text}",
        hovertext=[
            [
                f"{name}, strength {strength}: mIoU {text.percent(None if share is None else share * info.clean_miou)}"
                for strength, share in enumerate(row, start=1)
            ]
            for name, row in zip(names, info.kept, strict=True)
        ],
        hoverinfo="text",
    )
    styled(figure, 70 + 34 * len(names))
    figure.update_xaxes(side="top", showgrid=False)
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def plot_corruptions(results: SweepResults) -> go.Figure:
    """Plot the share of mIoU that is left under each corruption."""
    return draw_corruptions(corruptions_info(results))


FIGURE = Figure(
    title="mIoU kept under corruptions",
    reading="The share of the test mIoU that is left under corruptions of the photos, from weak (1) to strong (5); "
    "100 % is the mIoU of the clean photos.",
    plot=plot_corruptions,
    of_test_images=True,
    min_width_px=480,
)
