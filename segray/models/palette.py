"""Colours as a model's output: what a data set's classes must be like for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from segray.config import ModelConfig
from segray.errors import ConfigError
from segray.labels import Color, LabelSpace

MIN_DISTANCE: Final = 10.0
"""Least distance of two classes' colours, in RGB levels. In Cityscapes bus and train are the nearest, 20 apart. Among
its label ids some share a colour; segray tells them apart by one level of blue in files, which no network could hit."""

NEEDS_PALETTE: Final = (
    "model.output='rgb' needs a data set with a palette, one colour per class, to which the model's colours are "
    "compared, but {got}; take a data set with colours of its own, or model.output='logits'"
)


def check_output(config: ModelConfig, label_space: LabelSpace, *, has_palette: bool) -> None:
    """Check that the classes can be told apart by what the model gives.

    Args:
        config: Which output.
        label_space: The classes that it is trained on.
        has_palette: Whether the data set has colours of its own; made-up ones were never published as label images.

    Raises:
        ConfigError: The output is RGB, and there is no palette or some of its colours are alike.
    """
    if config.output == "logits":
        return
    if not has_palette:
        raise ConfigError(NEEDS_PALETTE.format(got="this data set has none of its own"))
    check_palette(label_space.colors, label_space.names)


def check_palette(palette: Sequence[Color], names: Sequence[str] | None = None) -> None:
    """Check that no two classes have the same colour, or nearly so.

    Args:
        palette: One RGB colour (0 to 255) per class.
        names: The classes' names, for the message; without them it gives their numbers.

    Raises:
        ConfigError: Some classes cannot be told apart by their colours; they are named.
    """
    alike = [
        ", ".join(names[index] if names else str(index) for index in group)
        + f" (RGB {', '.join(str(value) for value in palette[group[0]])})"
        for group in _alike(palette)
    ]
    if alike:
        raise ConfigError(
            f"model.output='rgb' tells classes apart by their colours, which must be at least {MIN_DISTANCE:g} of 255 "
            f"levels apart, but these share one or nearly so: {'; '.join(alike)}; choose data.classes with distinct "
            "colours (Cityscapes' train_ids and categories, SG-GAN's groups), fewer data.pairs.num_clusters, or "
            "model.output='logits'"
        )


def _alike(palette: Sequence[Color]) -> list[list[int]]:
    """Classes with a colour near that of the first of their group, where there is more than one."""
    groups: list[list[int]] = []
    for index, color in enumerate(palette):
        for group in groups:
            if math.dist(color, palette[group[0]]) < MIN_DISTANCE:
                group.append(index)
                break
        else:
            groups.append([index])
    return [group for group in groups if len(group) > 1]
