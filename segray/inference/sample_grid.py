"""A picture of some evaluated images: photo, truth and prediction beside each other, with the legend of the classes."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segray import text
from segray.data.tools.image_grid import Grid, Panel, Row, draw_grid
from segray.inference.resizing import logits_at
from segray.inference.split_data import LabelledImage, SplitData
from segray.metrics import confusion_matrix, scores

NUM_ROWS: Final = 6
NUM_VALUES: Final = 256


class SampleGrid:
    """Collects images that are spread evenly over a split, and draws them.

    Args:
        data: The images, with the classes that predictions are judged by.
        num_rows: Most images in the picture.
    """

    def __init__(self, data: SplitData, num_rows: int = NUM_ROWS) -> None:
        self._scoring = data.scoring
        self._chosen = {round(index) for index in np.linspace(0, len(data) - 1, min(num_rows, len(data)))}
        self._num_seen = 0
        self._rows: list[Row] = []
        self._pixels = np.zeros(NUM_VALUES, np.int64)

    def add(self, image: LabelledImage, logits_CHW: Tensor) -> None:
        """Keep an image if it is one of those to draw."""
        index, self._num_seen = self._num_seen, self._num_seen + 1
        if index not in self._chosen:
            return
        predicted_1HW = self._scoring.predict(logits_at(logits_CHW, image.judged.shape)[None]).cpu()
        predicted = predicted_1HW[0].numpy().astype(np.uint8)
        judged_1HW = torch.from_numpy(image.judged)[None]
        confusion = confusion_matrix(predicted_1HW, judged_1HW, self._scoring.label_space.num_classes)
        panels = (Panel(photo=image.photo), Panel(label=image.judged), Panel(label=predicted))
        self._rows.append(Row(f"{image.pair.name}: mIoU {text.percent(scores(confusion).miou)}", panels))
        for label in (image.judged, predicted):
            self._pixels += np.bincount(label.ravel(), minlength=NUM_VALUES)

    def draw(self, title: str) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3), RGB."""
        headings = ("photo", "truth", "prediction")
        return draw_grid(Grid(title, headings, self._rows, self._scoring.label_space, self._pixels))
