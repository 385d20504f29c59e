"""Parts shared by generators and discriminators of the pix2pix kind: normalisation layers and initial weights."""

from __future__ import annotations

from typing import Final

from torch import nn

START_STD: Final = 0.02

NORMS: Final[dict[str, type[nn.Module]]] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}


def norm_layer(name: str, channels: int) -> nn.Module:
    """Build a normalisation layer with a learnt scale and offset; the convolution before it needs no bias.

    Args:
        name: batch or instance.
        channels: Channels of the map.
    """
    return NORMS[name](channels, affine=True)


def start_normal(network: nn.Module) -> None:
    """Set initial weights as pix2pix does: kernels normal(0, 0.02), normalisation scales normal(1, 0.02), biases 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=START_STD)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)):
            nn.init.normal_(module.weight, mean=1.0, std=START_STD)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
