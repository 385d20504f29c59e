"""FCN-8s, FCN-16s and FCN-32s: class scores from several layers of VGG-16, summed from coarse to fine.

Long, Shelhamer and Darrell, 2015, "Fully Convolutional Networks for Semantic Segmentation", arXiv 1411.4038.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segray.config import FcnConfig, ModelConfig
from segray.errors import ConfigError, unknown_name
from segray.models.encoder_weights import encoder_file
from segray.models.normalisation import encoder_normalisation
from segray.models.segmentation import SegmentationModel
from segray.models.vgg import Vgg16, load_vgg

ENCODERS = {"vgg16": False, "vgg16_bn": True, "tu-vgg16": False, "tu-vgg16_bn": True}
"""Encoder -> whether it has batch normalisation; with the prefix tu-, ImageNet weights are timm's instead of SMP's."""


def build_fcn(config: ModelConfig, num_classes: int) -> SegmentationModel:
    """Build an FCN, with its encoder's weights loaded.

    Args:
        config: Encoder, encoder weights (none, imagenet, or a file or folder), and the options in ``fcn``.
        num_classes: Logits per pixel.

    Raises:
        ConfigError: The encoder is not a VGG-16, or its weights cannot be fetched or do not fit.
    """
    if config.encoder not in ENCODERS:
        raise ConfigError(unknown_name("model.encoder of model.name='fcn8s'", config.encoder, ENCODERS))
    path = encoder_file(config.encoder, config.encoder_weights)
    network = Fcn(config.fcn, num_classes, batch_norm=ENCODERS[config.encoder])
    if path is not None:
        load_vgg(network.encoder, config.encoder, path)
    return SegmentationModel(
        network, stride=32, normalisation=encoder_normalisation(config.encoder, config.encoder_weights)
    )


class Fcn(nn.Module):
    """A network that doubles the class scores of VGG-16's layer 7 in size and adds those of pool4, then of pool3.

    Args:
        config: Stride of the finest scores, width and dropout of the fully connected layers, and the standard
            deviation that the score layers start with.
        num_classes: Logits per pixel.
        batch_norm: Whether VGG-16 has batch normalisation.
    """

    def __init__(self, config: FcnConfig, num_classes: int, *, batch_norm: bool):
        super().__init__()
        self.encoder = Vgg16(batch_norm=batch_norm, head_width=config.head_width, dropout=config.dropout)
        self.decoder = FcnDecoder(config, num_classes)

    def forward(self, inputs_BCHW: Tensor) -> Tensor:
        """Return logits of the input's size; the input's sides must be multiples of 32."""
        logits_BCHW: Tensor = self.decoder(*self.encoder(inputs_BCHW))
        return logits_BCHW


class FcnDecoder(nn.Module):
    """The 1x1 score convolutions, and the transposed convolutions that enlarge the scores to the input's size."""

    def __init__(self, config: FcnConfig, num_classes: int):
        super().__init__()
        self.score7 = nn.Conv2d(config.head_width, num_classes, kernel_size=1)
        skips = {16: 512, 8: 256}
        self.scores = nn.ModuleList(
            nn.Conv2d(channels, num_classes, kernel_size=1)
            for stride, channels in skips.items()
            if stride >= config.output_stride
        )
        self.doublings = nn.ModuleList(_bilinear_upsampling(num_classes, factor=2) for _ in self.scores)
        self.upsampling = _bilinear_upsampling(num_classes, factor=config.output_stride)
        for score in (self.score7, *self.scores):
            nn.init.trunc_normal_(score.weight, std=config.score_std, a=-2 * config.score_std, b=2 * config.score_std)
            nn.init.zeros_(score.bias)

    def forward(self, pool3_BCHW: Tensor, pool4_BCHW: Tensor, layer7_BCHW: Tensor) -> Tensor:
        """Return logits at eight times the size of pool3."""
        scores_BCHW: Tensor = self.score7(layer7_BCHW)
        skips = (pool4_BCHW, pool3_BCHW)[: len(self.scores)]
        for double, score, skip_BCHW in zip(self.doublings, self.scores, skips, strict=True):
            scores_BCHW = double(scores_BCHW) + score(skip_BCHW)
        logits_BCHW: Tensor = self.upsampling(scores_BCHW)
        return logits_BCHW


def _bilinear_upsampling(num_classes: int, factor: int) -> nn.ConvTranspose2d:
    """Build a trainable transposed convolution that starts as bilinear interpolation of each class separately."""
    size = 2 * factor
    layer = nn.ConvTranspose2d(num_classes, num_classes, size, stride=factor, padding=factor // 2, bias=False)
    ramp = 1 - (torch.arange(size) + 0.5 - factor).abs() / factor
    with torch.no_grad():
        layer.weight.zero_()
        for index in range(num_classes):
            layer.weight[index, index] = ramp[:, None] * ramp
    return layer
