"""Dice, Jaccard, Tversky and focal Tversky: losses of region overlap, one formula with four settings.

Shape suffixes: B images, C classes, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segray.config import LossConfig
from segray.errors import ConfigError
from segray.losses.masks import class_masks


class Tversky(nn.Module):
    """``(1 - TP / (TP + alpha FP + beta FN))^(1 / gamma)`` of softmax probabilities, mean over the classes present.

    A class without a pixel in the batch has no overlap and is left out; the probability that it takes from pixels of
    other classes counts as missed by those classes. Alpha = beta = 0.5 is Dice, alpha = beta = 1 is Jaccard. Gamma
    above 1 is focal Tversky: the loss is steeper for a class that is nearly right.

    Source: Salehi et al., Tversky loss function for image segmentation (arXiv:1706.05721); gamma: Abraham and Khan, A
    Novel Focal Tversky loss function (arXiv:1810.07842), where alpha weighs the false negatives, as beta does here.
    """

    def __init__(self, alpha: float, beta: float, gamma: float = 1.0):
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.exponent = 1 / gamma

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the scalar loss of a batch."""
        # On contiguous memory, softmax and sums take half the time that they take on channels-last memory.
        probabilities_BCHW = logits_BCHW.contiguous().softmax(dim=1)
        truth_BCHW, labelled_B1HW = class_masks(labels_BHW, logits_BCHW.shape[1])
        pixels_C = truth_BCHW.sum(dim=(0, 2, 3))
        true_positives_C = (probabilities_BCHW * truth_BCHW).sum(dim=(0, 2, 3))
        false_positives_C = (probabilities_BCHW * labelled_B1HW).sum(dim=(0, 2, 3)) - true_positives_C
        false_negatives_C = pixels_C - true_positives_C
        sums_C = true_positives_C + self.alpha * false_positives_C + self.beta * false_negatives_C
        losses_C = _power(1 - true_positives_C / sums_C.clamp(min=1e-6), self.exponent)
        present_C = pixels_C > 0
        return (losses_C * present_C).sum() / present_C.sum().clamp(min=1)


def _power(losses_C: Tensor, exponent: float) -> Tensor:
    # An exponent below 1 has an infinite slope at 0. Up to 1e-6, about float32's precision, use a straight line.
    tiny = 1e-6
    return torch.where(losses_C < tiny, losses_C * tiny ** (exponent - 1), losses_C.clamp(min=tiny).pow(exponent))


def build_dice(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:  # noqa: ARG001
    """Build the Dice loss."""
    return Tversky(alpha=0.5, beta=0.5)


def build_jaccard(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:  # noqa: ARG001
    """Build the Jaccard loss (soft IoU)."""
    return Tversky(alpha=1.0, beta=1.0)


def build_tversky(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:  # noqa: ARG001
    """Build the Tversky loss with the config's weights of false positives and false negatives.

    Raises:
        ConfigError: Both weights are 0, which makes the loss constant.
    """
    return _tversky(config, gamma=1.0)


def build_focal_tversky(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:  # noqa: ARG001
    """Build the focal Tversky loss with the config's weights and gamma.

    Raises:
        ConfigError: Both weights are 0, which makes the loss constant.
    """
    return _tversky(config, gamma=config.tversky_gamma)


def _tversky(config: LossConfig, gamma: float) -> Tversky:
    if config.tversky_alpha + config.tversky_beta == 0:
        raise ConfigError(
            "loss.tversky_alpha + loss.tversky_beta must be above 0, but both are 0; the defaults are 0.3 and 0.7"
        )
    return Tversky(config.tversky_alpha, config.tversky_beta, gamma)
