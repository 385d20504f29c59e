"""SegmentationModel: the normalisation, padding and decoding around every network.

Shape suffixes: B images, C channels or classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.labels import Color
from segray.models.normalisation import IMAGENET, Normalisation

SHARPNESS = 10.0
"""Factor of the logits of a colour. Squared distances between colours in -1..1 are small, so without a factor the
cross-entropy of a perfect label image would be far from 0: 1.5 in the mean over Cityscapes' 19 classes. With 10 it is
0.17, and 0.08 if the output keeps its distance from the neighbours' colours. Bus and train, whose colours are the
closest, stay at 0.6, a little better than a guess between the two. The loss of the first steps grows with the factor: a
grey image has 12.5."""


class SegmentationModel(nn.Module):
    """A network with its normalisation and padding, which maps photos to one logit per class and pixel.

    With a palette the network paints: it outputs a colour per pixel, and the logits tell how near each class's colour
    is.

    Args:
        network: Maps normalised photos (B, 3, H, W), with sides that are multiples of the stride, to outputs of the
            same size: one channel per class, or 3 with a palette.
        stride: The sides of the network's input are multiples of this number of pixels.
        palette: RGB colours (0 to 255) of the classes, if the network paints.
        min_side_px: The smallest input side that the network takes.
        normalisation: The normalisation that the network's weights were trained with.
    """

    scale: Tensor
    offset: Tensor
    color_kernel: Tensor
    color_bias: Tensor

    def __init__(
        self,
        network: nn.Module,
        stride: int,
        palette: Sequence[Color] | None = None,
        *,
        min_side_px: int = 1,
        normalisation: Normalisation = IMAGENET,
    ):
        super().__init__()
        self.network = network
        self.stride = stride
        self.min_side_px = min_side_px
        self.paints = palette is not None
        self.register_buffer("scale", torch.empty(1, 3, 1, 1), persistent=False)
        self.register_buffer("offset", torch.empty(1, 3, 1, 1), persistent=False)
        self.normalise_by(normalisation)
        if palette is not None:
            colors_CK = torch.tensor(palette) / 127.5 - 1
            self.register_buffer("color_kernel", 2 * SHARPNESS * colors_CK, persistent=False)
            self.register_buffer(
                "color_bias", -SHARPNESS * colors_CK.square().sum(dim=1).view(-1, 1, 1), persistent=False
            )

    def normalise_by(self, normalisation: Normalisation) -> None:
        """Replace the statistics that photos are normalised by."""
        self.normalisation = normalisation
        mean = self.scale.new_tensor(normalisation.mean).view(1, 3, 1, 1)
        std = self.scale.new_tensor(normalisation.std).view(1, 3, 1, 1)
        self.scale.copy_(1 / (255 * std))
        self.offset.copy_(-mean / std)

    def forward(self, photos_BCHW: Tensor, *, raw: bool = False) -> Tensor:
        """Return logits for photos of any size.

        Sides are padded to a multiple of the stride and to the smallest side, at the bottom and on the right. The
        padding repeats the last row and column: zeros would draw an edge that is not there, and reflection fails on
        photos narrower than the padding.

        Args:
            photos_BCHW: RGB in 0..255, uint8 or float.
            raw: Return the network's output before ``decode``: RGB in -1..1 if the network paints.

        Returns:
            Logits (B, classes, H, W) at the photos' size; or colours (B, 3, H, W), if raw and the network paints.
        """
        height, width = photos_BCHW.shape[-2:]
        inputs_BCHW = torch.addcmul(self.offset, photos_BCHW.to(self.scale.dtype), self.scale)
        bottom, right = self._padding_px(height), self._padding_px(width)
        if bottom or right:
            inputs_BCHW = F.pad(inputs_BCHW, (0, right, 0, bottom), mode="replicate")
        outputs_BCHW: Tensor = self.network(inputs_BCHW)
        outputs_BCHW = outputs_BCHW[..., :height, :width]
        if self.paints:
            outputs_BCHW = torch.tanh(outputs_BCHW.to(self.scale.dtype))
        return outputs_BCHW if raw else self.decode(outputs_BCHW)

    def _padding_px(self, side_px: int) -> int:
        smallest_px = max(side_px, self.min_side_px)
        return smallest_px + -smallest_px % self.stride - side_px

    def decode(self, raw_BCHW: Tensor) -> Tensor:
        """Return logits from the raw output of ``forward``; the raw output of a network that does not paint is logits.

        The logit of a class is minus the squared distance between the output colour and the class's colour, times
        ``SHARPNESS``, up to a term that all classes share. The class of the nearest colour has the largest logit.

        Args:
            raw_BCHW: Raw output of ``forward``: RGB in -1..1 if the network paints.

        Returns:
            Logits (B, classes, H, W).
        """
        if not self.paints:
            return raw_BCHW
        # Not a convolution: on GPUs convolutions compute in TF32, which is too coarse as well.
        with _without_autocast(raw_BCHW.device.type):
            products_BCHW = torch.einsum("bkhw,ck->bchw", raw_BCHW.to(self.color_kernel.dtype), self.color_kernel)
            return products_BCHW + self.color_bias


def _without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Return a context without autocast: bfloat16 would often round the logits of bus and train to the same number."""
    if not torch.amp.is_autocast_available(device_type):  # such as meta
        return nullcontext()
    return torch.autocast(device_type, enabled=False)
