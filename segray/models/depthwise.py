"""Dilated depthwise convolutions in float32 on a CPU, because their bfloat16 gradients are wrong there."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn


def keep_exact(network: nn.Module) -> None:
    """Make a network compute its dilated depthwise convolutions in float32 inside a CPU's autocast.

    In bfloat16 and channels-last, oneDNN 3.13 (PyTorch 2.15) reads uninitialised memory when it computes the gradient
    of their kernels: the error is as large as the gradient, and sometimes the result is NaN. The gradient is right in
    float32, and other convolutions are right in bfloat16 too.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1 and max(module.dilation) > 1:
            kind: Any = type(module)
            module.__class__ = _in_float32(kind)


@functools.cache
def _in_float32(kind: Any) -> Any:
    """Return a subclass of a convolution class that computes in float32 inside a CPU's autocast."""

    class InFloat32(kind):  # type: ignore[misc]
        def forward(self, x_BCHW: Tensor) -> Tensor:
            if x_BCHW.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
                return super().forward(x_BCHW)  # type: ignore[no-any-return]
            with torch.autocast("cpu", enabled=False):
                y_BCHW: Tensor = super().forward(x_BCHW.float())
            return y_BCHW.to(torch.get_autocast_dtype("cpu"))

    return InFloat32
