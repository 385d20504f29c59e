"""Dilated depthwise convolutions in float32 where a CPU would take bfloat16, which gets their gradients wrong."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn


def keep_exact(network: nn.Module) -> None:
    """Have a network's dilated depthwise convolutions computed in float32 under a CPU's autocast.

    In bfloat16 and channels-last, oneDNN 3.13 (PyTorch 2.15) reads memory that nobody wrote when it works out the
    gradient of their kernels: it is as wrong as it is large, and now and then NaN. In float32 it is right, and so are
    all other convolutions.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1 and max(module.dilation) > 1:
            kind: Any = type(module)
            module.__class__ = _in_float32(kind)


@functools.cache
def _in_float32(kind: Any) -> Any:
    """A kind of convolution, as it is but for its precision under a CPU's autocast."""

    class InFloat32(kind):  # type: ignore[misc]
        def forward(self, x_BCHW: Tensor) -> Tensor:
            if x_BCHW.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
                return super().forward(x_BCHW)  # type: ignore[no-any-return]
            with torch.autocast("cpu", enabled=False):
                y_BCHW: Tensor = super().forward(x_BCHW.float())
            return y_BCHW.to(torch.get_autocast_dtype("cpu"))

    return InFloat32
