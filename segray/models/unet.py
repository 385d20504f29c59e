"""A U-Net with the stages of VGG-16, trained from scratch.

Ronneberger, Fischer and Brox, 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
arXiv 1505.04597.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import ModelConfig, UnetConfig
from segray.errors import ConfigError
from segray.models.segmentation import SegmentationModel
from segray.models.vgg import conv_layers, start_he

DECODER_CONVOLUTIONS = 2
"""Number of 3x3 convolutions in a decoder stage."""


def build_unet(config: ModelConfig, num_classes: int) -> SegmentationModel:
    """Build a U-Net; it has no pretrained encoder.

    Args:
        config: The options in ``unet``.
        num_classes: Logits per pixel.

    Raises:
        ConfigError: The lists of widths and convolutions have lengths that do not fit each other.
    """
    _check_lengths(config.unet)
    return SegmentationModel(Unet(config.unet, num_classes), stride=2 ** (len(config.unet.widths) - 1))


class Unet(nn.Module):
    """A U-Net: encoder stages with max pooling in between, and decoder stages with transposed convolutions and skips.

    Args:
        config: Widths and convolutions of the stages, and whether they have batch normalisation.
        num_classes: Logits per pixel.
    """

    def __init__(self, config: UnetConfig, num_classes: int):
        super().__init__()
        widths = _scale(config.widths, config.width_multiplier)
        decoder_widths = _scale(config.decoder_widths, config.width_multiplier)
        self.encoder = nn.ModuleList(
            _build_stage(inputs, width, count, config.batch_norm)
            for inputs, width, count in zip((3, *widths[:-1]), widths, config.convolutions, strict=True)
        )
        self.upsamplings = nn.ModuleList(
            nn.ConvTranspose2d(inputs, width, kernel_size=2, stride=2)
            for inputs, width in pairwise((widths[-1], *decoder_widths))
        )
        self.decoder = nn.ModuleList(
            _build_stage(width + skip, width, DECODER_CONVOLUTIONS, config.batch_norm)
            for width, skip in zip(decoder_widths, widths[-2::-1], strict=True)
        )
        start_he(self)
        self.score = nn.Conv2d(decoder_widths[-1], num_classes, kernel_size=1)

    def forward(self, inputs_BCHW: Tensor) -> Tensor:
        """Return logits of the input's size; its sides must be multiples of 2 to the number of poolings."""
        skips = []
        x_BCHW = inputs_BCHW
        for index, stage in enumerate(self.encoder):
            x_BCHW = stage(F.max_pool2d(x_BCHW, 2) if index else x_BCHW)
            skips.append(x_BCHW)
        skips.pop()
        for upsample, stage in zip(self.upsamplings, self.decoder, strict=True):
            x_BCHW = stage(torch.cat((upsample(x_BCHW), skips.pop()), dim=1))
        logits_BCHW: Tensor = self.score(x_BCHW)
        return logits_BCHW


def _build_stage(in_channels: int, width: int, count: int, batch_norm: bool) -> nn.Sequential:
    return nn.Sequential(*conv_layers(in_channels, width, count, batch_norm=batch_norm))


def _scale(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(max(1, round(width * factor)) for width in widths)


def _check_lengths(config: UnetConfig) -> None:
    depth = len(config.widths)
    if depth < 2:
        raise ConfigError(f"model.unet.widths must hold at least 2 numbers, but got {list(config.widths)}")
    for key, values, length in (
        ("convolutions", config.convolutions, depth),
        ("decoder_widths", config.decoder_widths, depth - 1),
    ):
        if len(values) != length:
            raise ConfigError(
                f"model.unet.{key} must hold {length} numbers, because model.unet.widths holds {depth}, but got "
                f"{list(values)}"
            )
