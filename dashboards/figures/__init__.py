"""The report's figures in order. A new figure is one file in this folder and one line in FIGURES."""

from typing import Final

from dashboards.figures import choices, classes, curves, history, importance, parallel, predictions, repeats
from dashboards.figures.base import Figure, NothingToDrawError

FIGURES: Final[dict[str, Figure]] = {
    "history": history.FIGURE,
    "repeats": repeats.FIGURE,
    "curves": curves.FIGURE,
    "parallel": parallel.FIGURE,
    "importance": importance.FIGURE,
    "choices": choices.FIGURE,
    "classes": classes.FIGURE,
    "predictions": predictions.FIGURE,
}

__all__ = ["FIGURES", "Figure", "NothingToDrawError"]
