"""Online hard example mining: cross-entropy on the hardest pixels.

Shape suffixes: B images, C classes, H height, W width.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import LossConfig
from segray.labels import IGNORE_INDEX
from segray.losses.class_weights import PixelWeights, class_weights


class Ohem(nn.Module):
    """Weighted mean of the cross-entropy over the hardest share of a batch's labelled pixels.

    The hardest pixels are those with the largest weighted cross-entropy. With a share of 1 the loss is cross-entropy.
    Source: Shrivastava et al., Training Region-based Object Detectors with Online Hard Example Mining
    (arXiv:1604.03540); the examples here are pixels.
    """

    def __init__(self, class_weights_C: Tensor, fraction: float):
        super().__init__()
        self.pixel_weights = PixelWeights(class_weights_C)
        self.fraction = fraction

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the scalar loss of a batch."""
        losses_BHW = F.cross_entropy(
            logits_BCHW,
            labels_BHW,
            weight=self.pixel_weights.table[: logits_BCHW.shape[1]],
            ignore_index=IGNORE_INDEX,
            reduction="none",
        )
        void_BHW = labels_BHW == IGNORE_INDEX
        num_kept = math.ceil(self.fraction * int((~void_BHW).sum()))
        # -1 sorts void pixels last. Their loss of 0 could tie with a labelled pixel whose loss is 0 in float32.
        kept = losses_BHW.masked_fill(void_BHW, -1).flatten().topk(num_kept, sorted=False)
        kept_weights: Tensor = self.pixel_weights(labels_BHW).flatten()[kept.indices]
        return kept.values.sum() / kept_weights.sum().clamp(min=1e-6)


def build_ohem(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:
    """Build online hard example mining with the config's share of pixels."""
    return Ohem(class_weights(config, class_pixels_C), config.ohem_fraction)
