"""The report's figures in order. A new figure is one file in this folder and one line in FIGURES."""

from typing import Final

from dashboards.figures import (
    agreement,
    calibration,
    choices,
    classes,
    confusion,
    corruptions,
    curves,
    history,
    importance,
    losses,
    parallel,
    predictions,
    progress,
    repeats,
)
from dashboards.figures.base import Figure, NothingToDrawError

FIGURES: Final[dict[str, Figure]] = {
    "history": history.FIGURE,
    "repeats": repeats.FIGURE,
    "curves": curves.FIGURE,
    "losses": losses.FIGURE,
    "agreement": agreement.FIGURE,
    "parallel": parallel.FIGURE,
    "importance": importance.FIGURE,
    "choices": choices.FIGURE,
    "classes": classes.FIGURE,
    "predictions": predictions.FIGURE,
    "progress": progress.FIGURE,
    "confusion": confusion.FIGURE,
    "calibration": calibration.FIGURE,
    "corruptions": corruptions.FIGURE,
}

__all__ = ["FIGURES", "Figure", "NothingToDrawError"]
