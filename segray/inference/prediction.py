"""The prediction of a photo: labels at the photo's own size, and the pictures made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX, LabelSpace

OVERLAY_OPACITY: Final = 0.55


@dataclass(frozen=True)
class Prediction:
    """The prediction of a photo, at the photo's own size."""

    photo: NDArray[np.uint8] = field(repr=False)
    """The photo, (height, width, 3), RGB"""
    labels: NDArray[np.uint8] = field(repr=False)
    """The most likely class of every pixel, as training id, (height, width)"""
    label_space: LabelSpace = field(repr=False)
    """The classes"""
    probabilities: NDArray[np.float32] | None = field(default=None, repr=False)
    """Probability of every class at every pixel, (classes, height, width), if it was asked for"""

    @property
    def shares(self) -> dict[str, float]:
        """Class -> share of the pixels, the largest first; without classes that were predicted nowhere."""
        shares = np.bincount(self.labels.ravel(), minlength=self.label_space.num_classes) / self.labels.size
        return {self.label_space.names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable") if shares[i]}

    def colors(self) -> NDArray[np.uint8]:
        """Return the colour of every pixel's class, (height, width, 3), RGB."""
        found: NDArray[np.uint8] = self.label_space.palette()[self.labels]
        return found

    def overlay(self, opacity: float = OVERLAY_OPACITY) -> NDArray[np.uint8]:
        """Return the photo with the classes' colours over it, (height, width, 3), RGB.

        Args:
            opacity: Share of the colours, from 0 to 1.
        """
        # In bytes: a photo of 24 million pixels would take 300 MB in float32, in each of several threads.
        blended = cv2.addWeighted(self.colors(), opacity, self.photo, 1 - opacity, 0)
        return np.asarray(blended, np.uint8)

    def label_ids(self) -> NDArray[np.uint8]:
        """Return the id that the data set's label files have for every pixel's class.

        Raises:
            ConfigError: The data set's labels hold no ids, or several ids of them are one class.
        """
        ids: NDArray[np.uint8] = label_id_table(self.label_space)[self.labels]
        return ids


def label_id_table(label_space: LabelSpace) -> NDArray[np.uint8]:
    """Return the id in the data set's label files by training id, shape (256,); 0 where there is no class.

    Raises:
        ConfigError: The data set's labels hold no ids, or several ids of them are one class.
    """
    table = np.zeros(256, np.uint8)
    for train_id, name in enumerate(label_space.names):
        ids = [raw for raw, train in label_space.raw_to_train.items() if train == train_id]
        if len(ids) != 1:
            what = f"{sorted(ids)} are all {name!r}" if ids else "its labels hold no ids"
            raise ConfigError(
                f"label ids need one id of the data set for each class, but {what}; use train ids, or colours"
            )
        table[train_id] = ids[0]
    table[IGNORE_INDEX] = next((raw for raw, train in label_space.raw_to_train.items() if train == IGNORE_INDEX), 0)
    return table
