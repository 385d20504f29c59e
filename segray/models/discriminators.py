"""Discriminators: they score, patch by patch, whether a label image was made from the labels or by a model.

``patchgan``: Isola, Zhu, Zhou and Efros, 2017, "Image-to-Image Translation with Conditional Adversarial Networks",
arXiv 1611.07004, appendix 6.1.2. ``semantic``: Li, Liang, Jia and Xing, 2018, "Semantic-aware Grad-GAN for
Virtual-to-Real Urban Scene Adaption", arXiv 1801.01726.

Shape suffixes: B images, C channels or classes, H height, W width; h and w count patches.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from segray.config import GanConfig, SizePx
from segray.errors import ConfigError
from segray.models.gan_layers import norm_layer, start_normal

WIDTH_FACTORS: Final = {16: (1, 2), 70: (1, 2, 4, 8), 286: (1, 2, 4, 8, 8, 8)}
"""Receptive field, in pixels -> channels of each layer before the score, as multiples of the first layer's."""


def build_discriminator(config: GanConfig, *, num_classes: int, image_channels: int) -> Discriminator:
    """Build the discriminator that a config names, on the default device.

    Args:
        config: The ``gan`` section of a run that has a discriminator.
        num_classes: Number of classes in the labels.
        image_channels: Channels of the label images: one per class, or 3 for RGB.
    """
    assert config.has_discriminator, "there is nothing to build"
    return Discriminator(config, num_classes=num_classes, image_channels=image_channels)


def check_discriminator(config: GanConfig, size_px: SizePx) -> None:
    """Check that the discriminator's patches fit into the training images.

    Args:
        config: The ``gan`` section of a run that has a discriminator.
        size_px: (height, width) of the training images.

    Raises:
        ConfigError: A patch is larger than the image.
    """
    if config.receptive_field_px > min(size_px):
        fitting = [str(side) for side in WIDTH_FACTORS if side <= min(size_px)]
        smaller = f"a smaller gan.receptive_field_px ({' or '.join(fitting)}) or " if fitting else ""
        raise ConfigError(
            "gan.receptive_field_px must be at most the smaller side of the training image, which has "
            f"{size_px[0]}x{size_px[1]} px, but got {config.receptive_field_px}; choose {smaller}a larger "
            "data.crop_px or data.resize_px"
        )


class Discriminator(nn.Module):
    """A stack of 4x4 convolutions that ends in one score per patch or, if semantic, one per patch and class.

    A semantic discriminator judges each patch by its true classes: the patch's score is the mean of the classes'
    scores, weighted by the share of the patch's middle that each class covers.

    Args:
        config: Kind, receptive field, width, normalisations, and whether the discriminator sees the photo.
        num_classes: Number of classes in the labels.
        image_channels: Channels of the label images.
    """

    def __init__(self, config: GanConfig, *, num_classes: int, image_channels: int):
        super().__init__()
        self.conditioned = config.conditioned
        self.semantic = config.discriminator == "semantic"
        widths = [config.width * factor for factor in WIDTH_FACTORS[config.receptive_field_px]]
        self.stride = 2 ** (len(widths) - 1)
        """Pixels from one patch to the next"""
        layers: list[nn.Module] = []
        input_channels = image_channels + 3 if self.conditioned else image_channels
        for index, (inputs, width) in enumerate(pairwise((input_channels, *widths))):
            # As published, the first layer has no normalisation.
            norm = config.norm if index and config.norm != "none" else None
            stride = 1 if index == len(widths) - 1 else 2
            layers.append(nn.Conv2d(inputs, width, kernel_size=4, stride=stride, padding=1, bias=norm is None))
            if norm:
                layers.append(norm_layer(norm, width))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(nn.Conv2d(widths[-1], num_classes if self.semantic else 1, kernel_size=4, padding=1))
        self.layers = nn.Sequential(*layers)
        start_normal(self)
        # After start_normal: spectral_norm replaces the weights by a function of the ones set here.
        if config.spectral_norm:
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, photos_BCHW: Tensor, image_BCHW: Tensor, classes_BCHW: Tensor | None) -> Tensor:
        """Return the scores, without an activation: high for label images that were made from the labels.

        Args:
            photos_BCHW: RGB in 0..255, uint8 or float; used only if conditioned.
            image_BCHW: The label image to judge.
            classes_BCHW: The true labels as floats: 1 in the channel of a pixel's class, 0 in all channels of a void
                pixel; needed only if semantic.

        Returns:
            (B, 1, h, w); a semantic discriminator gives 0 to a patch without labels in its middle.
        """
        inputs_BCHW = image_BCHW
        if self.conditioned:
            inputs_BCHW = torch.cat((photos_BCHW.to(image_BCHW.dtype) / 127.5 - 1, image_BCHW), dim=1)
        scores_BChw: Tensor = self.layers(inputs_BCHW)
        if not self.semantic:
            return scores_BChw
        assert classes_BCHW is not None
        shares_BChw = self.middles(classes_BCHW)
        weighed_B1hw = (scores_BChw * shares_BChw).sum(dim=1, keepdim=True)
        # With void in a middle the shares sum to less than 1, so divide by their sum.
        return weighed_B1hw / shares_BChw.sum(dim=1, keepdim=True).clamp(min=torch.finfo(shares_BChw.dtype).eps)

    def middles(self, values_BCHW: Tensor) -> Tensor:
        """Return the mean over the middle of each patch, (B, C, h, w); a middle is a square with sides of one stride.

        Patches overlap, but their middles tile the image without gaps. The outermost patches extend over the image's
        edge so far that their middles begin one stride inside the image.
        """
        return F.avg_pool2d(values_BCHW, self.stride)[..., 1:-1, 1:-1]
