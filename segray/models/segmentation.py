"""SegmentationModel: what surrounds every network, so that loaders, prediction and export need not.

Shape suffixes: B images, C channels or classes, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""RGB in 0..1, the statistics that ImageNet encoders were trained with."""


class SegmentationModel(nn.Module):
    """A network between normalisation and padding: photos in, one logit per class and pixel out.

    Args:
        network: Maps normalised photos (B, 3, H, W) with sides that are multiples of the stride to logits of that size.
        stride: What the network's input sides must be a multiple of, in pixels.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, stride: int):
        super().__init__()
        self.network = network
        self.stride = stride
        mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)

    def forward(self, photos_BCHW: Tensor) -> Tensor:
        """Logits for photos of any size.

        Sides are padded to the stride at the bottom and on the right by repeating the last row and column: zeros would
        draw an edge where there is none, and reflection fails on photos narrower than the padding.

        Args:
            photos_BCHW: RGB in 0..255, uint8 or float.

        Returns:
            Logits (B, classes, H, W), H and W being the photos'.
        """
        height, width = photos_BCHW.shape[-2:]
        inputs_BCHW = torch.addcmul(self.offset, photos_BCHW.to(self.scale.dtype), self.scale)
        bottom, right = -height % self.stride, -width % self.stride
        if bottom or right:
            inputs_BCHW = F.pad(inputs_BCHW, (0, right, 0, bottom), mode="replicate")
        logits_BCHW: Tensor = self.network(inputs_BCHW)
        return logits_BCHW[..., :height, :width]
