"""Focal loss.

Shape suffixes: B images, C classes, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import LossConfig
from segray.labels import IGNORE_INDEX
from segray.losses.class_weights import PixelWeights


class Focal(nn.Module):
    """Weighted mean over labelled pixels of ``(1 - p)^gamma * -ln p``, p the probability of the true class.

    Gamma 0 is cross-entropy. Source: Lin et al., Focal Loss for Dense Object Detection (arXiv:1708.02002), eq. 5;
    the mean is over all labelled pixels, as there are no anchors to normalise by.
    """

    def __init__(self, class_weights_C: Tensor, gamma: float):
        super().__init__()
        self.pixel_weights = PixelWeights(class_weights_C)
        self.gamma = gamma

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Scalar loss of a batch."""
        surprise_BHW = F.cross_entropy(logits_BCHW, labels_BHW, ignore_index=IGNORE_INDEX, reduction="none")
        # Below gamma 1 the power has an infinite slope at 0, where a sure pixel or a void one lies.
        doubt_BHW = (-torch.expm1(-surprise_BHW)).clamp(min=1e-6)
        weights_BHW: Tensor = self.pixel_weights(labels_BHW)
        losses_BHW = weights_BHW * doubt_BHW.pow(self.gamma) * surprise_BHW
        return losses_BHW.sum() / weights_BHW.sum().clamp(min=1e-6)


def build_focal(config: LossConfig, class_weights_C: Tensor) -> nn.Module:
    """Focal loss with the config's gamma."""
    return Focal(class_weights_C, config.focal_gamma)
