"""What generators and discriminators of the pix2pix kind share: normalisation, and the start of the weights."""

from __future__ import annotations

from typing import Final

from torch import nn

START_STD: Final = 0.02

NORMS: Final[dict[str, type[nn.Module]]] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}


def norm_layer(name: str, channels: int) -> nn.Module:
    """A normalisation with a learnt scale and offset, which stands in for the bias of the convolution before it.

    Args:
        name: batch or instance.
        channels: Of the map.
    """
    return NORMS[name](channels, affine=True)


def start_normal(network: nn.Module) -> None:
    """Start as pix2pix does: kernels normal(0, 0.02), scales of normalisations normal(1, 0.02), the rest 0."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=START_STD)
        elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)):
            nn.init.normal_(module.weight, mean=1.0, std=START_STD)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
