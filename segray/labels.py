"""LabelSpace: the classes of a data set, with their colours, and the map from raw label values to training ids."""

from __future__ import annotations

import colorsys
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

IGNORE_INDEX: Final = 255
"""Training id of void pixels, which count in no loss, gradient or metric."""

Color = tuple[int, int, int]


class LabelSpace(BaseModel):
    """Class names and colours in the order of training ids, and the map from raw label ids to training ids.

    Decoding a label with a raw id that is not a key of ``raw_to_train`` is an error; unknown ids never become void.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    """Class names; the position is the training id."""
    colors: tuple[Color, ...]
    """One RGB colour (0 to 255) per class."""
    raw_to_train: dict[int, int] = {}
    """Every id that may occur in a label file -> training id, or 255 for void; empty if labels are not ids."""

    @model_validator(mode="before")
    @classmethod
    def _drop_ignore_index(cls, content: object) -> object:
        # Checkpoints of earlier versions store the id of void, which was always 255.
        if isinstance(content, dict) and content.get("ignore_index") == IGNORE_INDEX:
            return {key: value for key, value in content.items() if key != "ignore_index"}
        return content

    @model_validator(mode="after")
    def _check(self) -> LabelSpace:
        if not 1 <= len(self.names) <= 254:
            raise ValueError(f"a label space must have 1 to 254 classes, but got {len(self.names)}")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"class names must be unique, but got {list(self.names)}")
        if len(self.colors) != len(self.names):
            raise ValueError(
                f"a label space must have one colour per class, but got {len(self.names)} names and "
                f"{len(self.colors)} colours"
            )
        valid = {*range(len(self.names)), IGNORE_INDEX}
        wrong = {raw: train for raw, train in self.raw_to_train.items() if train not in valid}
        if wrong:
            raise ValueError(f"raw_to_train must map to training ids or {IGNORE_INDEX}, but got {wrong}")
        return self

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.names)

    def palette(self) -> np.ndarray:
        """Return the colours by training id, shape (256, 3), uint8; void and unused ids are black."""
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: len(self.colors)] = self.colors
        return palette


def distinct_colors(count: int) -> tuple[Color, ...]:
    """Return ``count`` RGB colours that a person can tell apart, always the same; hues step by the golden angle."""
    colors = []
    for index in range(count):
        hue = (index * 0.618033988749895) % 1.0
        value = (0.95, 0.75, 0.55)[index % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colors)
