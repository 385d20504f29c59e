"""The map of class boundaries, and a cross-entropy with more weight near them.

Shape suffixes: B images, C classes, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import LossConfig
from segray.labels import IGNORE_INDEX
from segray.losses.class_weights import PixelWeights, class_weights


def boundary_map(labels_BHW: Tensor, width_px: int, kind: Literal["hard", "soft"]) -> Tensor:
    """Return how near each pixel is to a pixel of another class, from 0 (far) to 1 (near).

    The distance d is the larger of the distances along rows and columns, in pixels; it is 1 to each of the eight
    neighbours. Void is not a class: it makes no boundary, and a void pixel is never near one. Void pixels between two
    classes count in their distance like any other pixels.

    Args:
        labels_BHW: Class ids, 255 for void, in any integer dtype.
        width_px: The largest distance that counts, at least 1; applies on both sides of a boundary.
        kind: With "hard", 1 where d is at most the width. With "soft", ``(width + 1 - d) / width`` there: 1 at a
            boundary, 1 / width at the largest distance. Both are 0 beyond the width.

    Returns:
        Shape (B, H, W), float32, on the labels' device.
    """
    void_BHW = labels_BHW == IGNORE_INDEX
    ids_BHW = labels_BHW.float()
    # The largest id of a window plus the largest negated id is 0 exactly if the window holds a single class.
    extremes_B2HW = torch.stack([ids_BHW, -ids_BHW], dim=1).masked_fill(void_BHW.unsqueeze(1), -torch.inf)
    steps = [width_px] if kind == "hard" else [1] * width_px
    near_BHW = torch.zeros_like(ids_BHW)
    for step in steps:
        extremes_B2HW = F.max_pool2d(extremes_B2HW, (2 * step + 1, 1), stride=1, padding=(step, 0))
        extremes_B2HW = F.max_pool2d(extremes_B2HW, (1, 2 * step + 1), stride=1, padding=(0, step))
        near_BHW += extremes_B2HW.sum(dim=1) > 0
    return (near_BHW / len(steps)).masked_fill(void_BHW, 0)


class Boundary(nn.Module):
    """Mean of the cross-entropy over labelled pixels, weighted by ``class weight * (1 + weight * boundary map)``.

    With a weight of 0 the loss is cross-entropy. Ronneberger et al., U-Net (arXiv:1505.04597), eq. 2, add a similar
    term to the class weights, which falls off as a Gaussian of the distances to the two nearest cells.
    """

    def __init__(self, class_weights_C: Tensor, weight: float, width_px: int, kind: Literal["hard", "soft"]):
        super().__init__()
        self.pixel_weights = PixelWeights(class_weights_C)
        self.weight = weight
        self.width_px = width_px
        self.kind = kind

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the scalar loss of a batch."""
        losses_BHW = F.cross_entropy(logits_BCHW, labels_BHW, ignore_index=IGNORE_INDEX, reduction="none")
        near_BHW = boundary_map(labels_BHW, self.width_px, self.kind)
        weights_BHW: Tensor = self.pixel_weights(labels_BHW) * (1 + self.weight * near_BHW)
        return (weights_BHW * losses_BHW).sum() / weights_BHW.sum().clamp(min=1e-6)


def build_boundary(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:
    """Build the boundary-aware cross-entropy with the config's weight, width and kind."""
    return Boundary(
        class_weights(config, class_pixels_C), config.boundary_weight, config.boundary_width_px, config.boundary_kind
    )
