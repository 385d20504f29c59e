"""Losses: training and validation loss of the best trial by epoch."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from dashboards.figures.base import Figure, NothingToDrawError
from dashboards.figures.style import SERIES, plain, styled
from segray import text
from segray.results import SweepResults


@dataclass(frozen=True)
class LossesInfo:
    """The losses of one trial."""

    trial: str
    epochs: tuple[int, ...]
    losses: dict[str, tuple[float, ...]]
    """training and validation -> loss by epoch; NaN for an epoch without one"""


def losses_info(results: SweepResults) -> LossesInfo:
    """Gather the losses of the best trial.

    Raises:
        NothingToDrawError: No trial has completed an epoch with a loss.
    """
    best = results.best_trial()
    records = results.epochs[results.epochs["trial"] == ("" if best is None else best["id"])]
    found = {"training": records["train_loss"], "validation": records["val_loss"]}
    if best is None or all(losses.isna().all() for losses in found.values()):
        raise NothingToDrawError("No trial has completed an epoch with a loss yet.")
    losses = {name: tuple(values) for name, values in found.items()}
    return LossesInfo(best["id"], tuple(records["epoch"]), losses)


def draw_losses(info: LossesInfo) -> go.Figure:
    """Draw a line for each loss."""
    figure = go.Figure()
    for (name, losses), color in zip(info.losses.items(), SERIES, strict=False):
        figure.add_scatter(
            x=info.epochs,
            y=losses,
            name=f"{name}, trial {plain(info.trial)}",
            mode="lines+markers",
            line={"color": color, "width": 2.5},
            marker={"size": 6},
            hovertext=[
                f"epoch {epoch}: {name} loss {text.decimal(loss)}"
                for epoch, loss in zip(info.epochs, losses, strict=True)
            ],
            hoverinfo="text",
        )
    styled(figure, 360)
    last_epoch = max(info.epochs)
    figure.update_xaxes(
        title_text="epoch", showgrid=False, range=[0.7, last_epoch + 0.3], dtick=max(1, round(last_epoch / 10))
    )
    return figure.update_yaxes(title_text="loss", rangemode="tozero")


def plot_losses(results: SweepResults) -> go.Figure:
    """Plot the training and validation loss of the best trial by epoch."""
    return draw_losses(losses_info(results))


FIGURE = Figure(
    title="Losses of the best trial",
    reading="Training and validation loss after each epoch. A validation loss that rises while the training loss falls "
    "means overfitting. The training loss is taken on augmented crops while the weights change.",
    plot=plot_losses,
)
