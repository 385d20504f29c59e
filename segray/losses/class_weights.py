"""Weights of classes, and the weights of pixels by their class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segray.config import LossConfig
from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX


def class_weights(config: LossConfig, class_pixels_C: Tensor) -> Tensor:
    """Return the class weights that a config asks for.

    Args:
        config: The losses' config, with ``class_weights``.
        class_pixels_C: Pixels of each class in the training split.

    Returns:
        Shape (C,), float32; ones if ``class_weights`` is "none".

    Raises:
        ConfigError: The config lists weights, but not one for each class.
    """
    if config.class_weights == "none":
        return torch.ones(len(class_pixels_C))
    if config.class_weights == "balanced":
        return balanced_weights(class_pixels_C)
    return given_weights(config.class_weights, len(class_pixels_C), "loss.class_weights")


def given_weights(weights: Sequence[float], num_classes: int, key: str) -> Tensor:
    """Return the weights that a config key lists, in the order of the classes; shape (C,), float32.

    Raises:
        ConfigError: The list does not have one weight for each class.
    """
    if len(weights) != num_classes:
        raise ConfigError(
            f"{key} must have one number for each of the {num_classes} classes, in the order that `segray data "
            f"check` prints, but has {len(weights)}"
        )
    return torch.tensor(weights, dtype=torch.float32)


def balanced_weights(class_pixels_C: Tensor) -> Tensor:
    """Return inverse log class frequencies, ``1 / ln(1.02 + p)``, scaled to a mean of 1.

    The constant 1.02 bounds the weight of a rare class: even a class without a pixel gets a finite weight.
    Source: Paszke et al., ENet (arXiv:1606.02147), section 5.2.

    Args:
        class_pixels_C: Pixels of each class in the training split.

    Returns:
        Shape (C,), float32.
    """
    pixels = class_pixels_C.double()
    weights = 1 / torch.log(1.02 + pixels / pixels.sum().clamp(min=1))
    return (weights / weights.mean()).float()


class PixelWeights(nn.Module):
    """A lookup table from labels to pixel weights: the weight of the class, 0 for void."""

    def __init__(self, class_weights_C: Tensor):
        super().__init__()
        # With an entry for void, a lookup needs no masking.
        table = torch.zeros(IGNORE_INDEX + 1)
        table[: len(class_weights_C)] = class_weights_C
        self.table: Tensor
        self.register_buffer("table", table)

    def forward(self, labels_BHW: Tensor) -> Tensor:
        """Return float32 weights of the labels' shape."""
        return self.table[labels_BHW]
