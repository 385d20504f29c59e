"""Checks of class colours for models whose output is RGB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from segray.config import ModelConfig
from segray.errors import ConfigError
from segray.labels import Color, LabelSpace

MIN_DISTANCE: Final = 10.0
"""Smallest distance between two classes' colours, in RGB levels. In Cityscapes, the closest training classes are bus
and train, 20 apart. Some of its label ids share a colour; segray's files tell them apart by one level of blue, a
difference that no network could reproduce."""

NEEDS_PALETTE: Final = (
    "model.output='rgb' needs a data set with a palette of one colour per class, to which the model's colours are "
    "compared, but {got}; choose a data set with its own colours, or model.output='logits'"
)


def check_output(config: ModelConfig, label_space: LabelSpace, *, has_palette: bool) -> None:
    """Check that a model's output can tell the classes apart.

    Args:
        config: The model, with its ``output``.
        label_space: The classes that the model is trained on.
        has_palette: Whether the data set has its own colours; colours that segray made up do not count.

    Raises:
        ConfigError: The output is RGB, and the data set has no palette or some of its colours are too similar.
    """
    if config.output == "logits":
        return
    if not has_palette:
        raise ConfigError(NEEDS_PALETTE.format(got="this data set has none of its own"))
    check_palette(label_space.colors, label_space.names)


def check_palette(palette: Sequence[Color], names: Sequence[str] | None = None) -> None:
    """Check that no two classes have the same colour, or nearly the same.

    Args:
        palette: One RGB colour (0 to 255) per class.
        names: The classes' names for the message; without them the message gives training ids.

    Raises:
        ConfigError: Some classes have colours that are too similar; the message names the classes.
    """
    alike = [
        ", ".join(names[index] if names else str(index) for index in group)
        + f" (RGB {', '.join(str(value) for value in palette[group[0]])})"
        for group in _similar_classes(palette)
    ]
    if alike:
        raise ConfigError(
            f"model.output='rgb' tells classes apart by their colours, which must be at least {MIN_DISTANCE:g} of 255 "
            f"levels apart, but these classes have the same colour or nearly the same: {'; '.join(alike)}; choose "
            "data.classes with distinct colours (Cityscapes' train_ids and categories, SG-GAN's groups), fewer "
            "data.pairs.num_clusters, or model.output='logits'"
        )


def _similar_classes(palette: Sequence[Color]) -> list[list[int]]:
    """Return the groups of two or more classes whose colours are near the colour of the group's first class."""
    groups: list[list[int]] = []
    for index, color in enumerate(palette):
        for group in groups:
            if math.dist(color, palette[group[0]]) < MIN_DISTANCE:
                group.append(index)
                break
        else:
            groups.append([index])
    return [group for group in groups if len(group) > 1]
