"""LabelSpace: the classes of a data set, and how raw label values map to training ids and colours."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

IGNORE_INDEX: Final = 255
"""Training id of void pixels: no loss, no gradient, no part in any metric."""

Color = tuple[int, int, int]


class LabelSpace(BaseModel):
    """Class names and colours in training-id order, and for labels of ids the table from these to training ids.

    A raw value that is not a key of ``raw_to_train`` is an error when a label is decoded, never a silent void.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    """Class names; the position is the training id."""
    colors: tuple[Color, ...]
    """One RGB colour (0 to 255) per class."""
    raw_to_train: dict[int, int] = {}
    """Every id that may occur in a label file -> training id, or 255 for void; empty where labels are no ids."""
    ignore_index: int = IGNORE_INDEX

    @model_validator(mode="after")
    def _check(self) -> LabelSpace:
        if not 1 <= len(self.names) <= 254:
            raise ValueError(f"a label space holds 1 to 254 classes, but got {len(self.names)}")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"class names must be unique, but got {list(self.names)}")
        if len(self.colors) != len(self.names):
            raise ValueError(f"one colour per class: {len(self.names)} names, {len(self.colors)} colours")
        valid = {*range(len(self.names)), self.ignore_index}
        wrong = {raw: train for raw, train in self.raw_to_train.items() if train not in valid}
        if wrong:
            raise ValueError(f"raw_to_train must map to training ids or {self.ignore_index}, but got {wrong}")
        return self

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.names)

    def palette(self) -> np.ndarray:
        """Colours by training id, shape (256, 3), uint8; void and unused ids are black."""
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: len(self.colors)] = self.colors
        return palette


def distinct_colors(count: int) -> tuple[Color, ...]:
    """``count`` RGB colours that a person can tell apart, the same for the same count: hues by golden angle."""
    import colorsys

    colors = []
    for index in range(count):
        hue = (index * 0.618033988749895) % 1.0
        value = (0.95, 0.75, 0.55)[index % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colors)
