"""The residual generator of CycleGAN.

Johnson, Alahi and Fei-Fei, 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
arXiv 1603.08155; as in Zhu, Park, Isola and Efros, 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks", arXiv 1703.10593, appendix 7.2.
"""

from __future__ import annotations

from torch import Tensor, nn

from segray.config import GeneratorConfig, ModelConfig
from segray.models.gan_layers import norm_layer, start_normal
from segray.models.segmentation import SegmentationModel


def build_resnet(config: ModelConfig, num_outputs: int) -> SegmentationModel:
    """Build the generator; it has no pretrained encoder.

    Args:
        config: The options in ``generator``.
        num_outputs: Channels of the output.
    """
    # The network halves the map twice, so its arithmetic allows a stride of 4. A stride of 8 keeps the smallest map at
    # two pixels per side: a single pixel has no neighbour to reflect, and instance normalisation refuses it.
    return SegmentationModel(ResnetGenerator(config.generator, num_outputs), stride=8)


class ResnetGenerator(nn.Module):
    """A 7x7 convolution, two that halve the map, residual blocks, two that double it, and a 7x7 convolution.

    Args:
        config: Width and number of blocks.
        num_outputs: Channels of the output, which has no activation.
    """

    def __init__(self, config: GeneratorConfig, num_outputs: int):
        super().__init__()
        width = config.width
        self.encoder = nn.Sequential(
            *_with_norm(_same_size_conv(3, width, kernel_size=7), width),
            *_with_norm(_halving_conv(width, 2 * width), 2 * width),
            *_with_norm(_halving_conv(2 * width, 4 * width), 4 * width),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * width) for _ in range(config.num_blocks)))
        self.decoder = nn.Sequential(
            *_with_norm(_doubling_conv(4 * width, 2 * width), 2 * width),
            *_with_norm(_doubling_conv(2 * width, width), width),
            _same_size_conv(width, num_outputs, kernel_size=7, bias=True),
        )
        start_normal(self)

    def forward(self, inputs_BCHW: Tensor) -> Tensor:
        """Return outputs of the input's size; the input's sides must be multiples of 4 and at least 8."""
        outputs_BCHW: Tensor = self.decoder(self.blocks(self.encoder(inputs_BCHW)))
        return outputs_BCHW


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose output is added to the input, without an activation after the sum.

    Args:
        channels: Channels of the input and of the output.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            *_with_norm(_same_size_conv(channels, channels, kernel_size=3), channels),
            _same_size_conv(channels, channels, kernel_size=3),
            norm_layer("instance", channels),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return a map of the input's shape."""
        sum_BCHW: Tensor = x_BCHW + self.layers(x_BCHW)
        return sum_BCHW


def _same_size_conv(in_channels: int, channels: int, *, kernel_size: int, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2, padding_mode="reflect", bias=bias)


def _halving_conv(in_channels: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel_size=3, stride=2, padding=1, bias=False)


def _doubling_conv(in_channels: int, channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, channels, kernel_size=3, stride=2, padding=1, output_padding=1, bias=False)


def _with_norm(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, norm_layer("instance", channels), nn.ReLU(inplace=True)]
