"""Focal loss.

Shape suffixes: B images, C classes, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import LossConfig
from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX
from segray.losses.class_weights import PixelWeights, balanced_weights, class_weights, given_weights


class Focal(nn.Module):
    """Weighted mean over labelled pixels of ``alpha (1 - p)^gamma * -ln p``, p the probability of the true class.

    Each class has its alpha. The mean divides by the sum of class weights and not by the alphas, so an alpha scales the
    loss. With gamma 0 and alpha 1 the loss is cross-entropy. Source: Lin et al., Focal Loss for Dense Object Detection
    (arXiv:1708.02002), eq. 5. The paper normalises by anchors; this mean is over all labelled pixels.
    """

    def __init__(self, class_weights_C: Tensor, alphas_C: Tensor, gamma: float):
        super().__init__()
        self.pixel_weights = PixelWeights(class_weights_C)
        self.pixel_factors = PixelWeights(class_weights_C * alphas_C)
        self.gamma = gamma

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the scalar loss of a batch."""
        surprise_BHW = F.cross_entropy(logits_BCHW, labels_BHW, ignore_index=IGNORE_INDEX, reduction="none")
        # With gamma below 1 the power has an infinite slope at 0, the value of void pixels and of fully sure ones.
        doubt_BHW = (-torch.expm1(-surprise_BHW)).clamp(min=1e-6)
        losses_BHW: Tensor = self.pixel_factors(labels_BHW) * doubt_BHW.pow(self.gamma) * surprise_BHW
        weights_BHW: Tensor = self.pixel_weights(labels_BHW)
        return losses_BHW.sum() / weights_BHW.sum().clamp(min=1e-6)


def build_focal(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:
    """Build the focal loss with the config's gamma and alpha (one for all classes, or one for each).

    Raises:
        ConfigError: Alpha and the class weights both weigh classes, or a list of either does not have one number for
            each class.
    """
    weights_C, alpha = class_weights(config, class_pixels_C), config.focal_alpha
    if isinstance(alpha, float):
        return Focal(weights_C, torch.full_like(weights_C, alpha), config.focal_gamma)
    if config.class_weights != "none":
        raise ConfigError(
            "loss.focal_alpha and loss.class_weights both weigh the classes of focal, so only one may be set, but got "
            f"loss.class_weights={_format(config.class_weights)} and loss.focal_alpha={_format(alpha)}; set "
            "loss.class_weights to none, or loss.focal_alpha to 1"
        )
    if alpha == "balanced":
        return Focal(weights_C, balanced_weights(class_pixels_C), config.focal_gamma)
    return Focal(weights_C, given_weights(alpha, len(weights_C), "loss.focal_alpha"), config.focal_gamma)


def _format(value: str | tuple[float, ...]) -> str:
    return value if isinstance(value, str) else str(list(value))
