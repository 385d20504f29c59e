"""The U-Net generator of pix2pix, with batch or instance normalisation.

Isola, Zhu, Zhou and Efros, 2017, "Image-to-Image Translation with Conditional Adversarial Networks",
arXiv 1611.07004, appendix 6.1.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segray.config import GeneratorConfig, ModelConfig
from segray.models.gan_layers import norm_layer, start_normal
from segray.models.segmentation import SegmentationModel

LARGEST_FACTOR = 8
"""Channels of the widest stages, as a multiple of the first stage's."""
NUM_DROPPED = 3
"""Number of decoder stages with dropout, counted from the coarsest."""


def build_pix2pix(config: ModelConfig, num_outputs: int) -> SegmentationModel:
    """Build the generator with batch normalisation; it has no pretrained encoder.

    Args:
        config: The options in ``generator``.
        num_outputs: Channels of the output.
    """
    return _build(config.generator, num_outputs, norm="batch")


def build_unet_instance_norm(config: ModelConfig, num_outputs: int) -> SegmentationModel:
    """Build the generator with instance normalisation, as in CycleGAN-tensorflow and SG-GAN.

    Args:
        config: The options in ``generator``.
        num_outputs: Channels of the output.
    """
    return _build(config.generator, num_outputs, norm="instance")


def _build(config: GeneratorConfig, num_outputs: int, norm: str) -> SegmentationModel:
    return SegmentationModel(Pix2PixUnet(config, num_outputs, norm=norm), stride=2**config.depth)


class Pix2PixUnet(nn.Module):
    """A U-Net of ``depth`` 4x4 convolutions that halve the map, as many transposed ones that double it, and skips.

    Args:
        config: Width, depth, and dropout of the three coarsest decoder stages.
        num_outputs: Channels of the output, which has no activation.
        norm: batch or instance.
    """

    def __init__(self, config: GeneratorConfig, num_outputs: int, *, norm: str):
        super().__init__()
        widths = [config.width * min(2**stage, LARGEST_FACTOR) for stage in range(config.depth)]
        self.encoder = nn.ModuleList([nn.Conv2d(3, widths[0], kernel_size=4, stride=2, padding=1)])
        for stage in range(1, config.depth):
            # The innermost map can be a single pixel, and a normalisation that subtracts its mean would leave 0.
            innermost = stage == config.depth - 1
            self.encoder.append(_build_down(widths[stage - 1], widths[stage], None if innermost else norm))
        self.decoder = nn.ModuleList()
        for stage in reversed(range(1, config.depth)):
            inputs = widths[stage] if stage == config.depth - 1 else 2 * widths[stage]
            dropped = config.depth - 1 - stage < NUM_DROPPED
            self.decoder.append(_build_up(inputs, widths[stage - 1], norm, config.dropout if dropped else 0.0))
        self.decoder.append(
            nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * widths[0], num_outputs, kernel_size=4, stride=2, padding=1))
        )
        start_normal(self)

    def forward(self, inputs_BCHW: Tensor) -> Tensor:
        """Return outputs of the input's size; the input's sides must be multiples of 2 to the power of ``depth``."""
        skips = []
        x_BCHW = inputs_BCHW
        for stage in self.encoder:
            x_BCHW = stage(x_BCHW)
            skips.append(x_BCHW)
        skips.pop()
        for stage in self.decoder:
            x_BCHW = stage(x_BCHW)
            if skips:
                x_BCHW = torch.cat((x_BCHW, skips.pop()), dim=1)
        return x_BCHW


# Activations come before the convolutions and do not work in place, because the skips carry the values before them.
def _build_down(in_channels: int, width: int, norm: str | None) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.LeakyReLU(0.2),
        nn.Conv2d(in_channels, width, kernel_size=4, stride=2, padding=1, bias=norm is None),
    ]
    if norm:
        layers.append(norm_layer(norm, width))
    return nn.Sequential(*layers)


def _build_up(in_channels: int, width: int, norm: str, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.ConvTranspose2d(in_channels, width, kernel_size=4, stride=2, padding=1, bias=False),
        norm_layer(norm, width),
        nn.Dropout(dropout),
    )
