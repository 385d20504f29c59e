"""Exponential moving average of a model's weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from segray.models import SegmentationModel


class Ema:
    """A copy of a model whose weights are a moving average of the trained weights.

    Buffers are averaged too, so that BatchNorm's statistics fit the averaged weights. After n steps the decay is
    (1 + n) / (10 + n), and at most ``decay``, as in TensorFlow's ``ExponentialMovingAverage``: with a constant decay,
    the average of a short run would be mostly its random start.

    Attributes:
        model: The averaged model, in eval mode and without gradients.
    """

    def __init__(self, model: SegmentationModel, decay: float) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, num_steps: int) -> None:
        """Move the average towards ``model``, which has trained for ``num_steps`` steps in total."""
        decay = min(self.decay, (1 + num_steps) / (10 + num_steps))
        averages, values = _tensors(self.model), _tensors(model)
        pairs = list(zip(averages, values, strict=True))
        floats = [(average, value) for average, value in pairs if average.is_floating_point()]
        # One call for all tensors is faster than one call for each.
        torch._foreach_lerp_([average for average, _ in floats], [value for _, value in floats], 1 - decay)
        for average, value in pairs:
            if not average.is_floating_point():
                average.copy_(value)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
