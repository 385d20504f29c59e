"""Losses of a model's label image (fake) against the label image made from the labels (real).

A label image has one channel per class (probabilities or one-hot labels), or three (colours in -1..1). Void pixels are
0 in both images.

Shape suffixes: B images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import GanConfig
from segray.labels import IGNORE_INDEX
from segray.losses.boundary import boundary_map

SOFT_WEIGHTS = (0.9, 0.1)
"""Weights of the soft form: the extra weight at a class boundary, and the weight everywhere."""


class LabelImageLoss(nn.Module):
    """The weighted sum of a model's losses that need no discriminator: segmentation, L1 and gradient-sensitive.

    Args:
        segmentation: (logits_BCHW, labels_BHW) -> scalar.
        config: Weights of the three losses, and kind of the last.
    """

    def __init__(self, segmentation: nn.Module, config: GanConfig) -> None:
        super().__init__()
        self.segmentation = segmentation
        self._segmentation_weight = config.segmentation_weight
        self._differences: list[tuple[float, Callable[[Tensor, Tensor, Tensor], Tensor]]] = [
            (config.l1_weight, absolute_difference),
            (config.gradient_weight, partial(gradient_difference, kind=config.gradient_kind)),
        ]

    def forward(self, logits_BCHW: Tensor, fake_BCHW: Tensor, real_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the loss of a batch, a float32 scalar; 0 if all weights are 0.

        Args:
            logits_BCHW: The model's logits, one channel per class.
            fake_BCHW: The model's label images, float32.
            real_BCHW: Label images made from the labels, of the same shape.
            labels_BHW: Class ids, 255 for void, int64.
        """
        total = torch.zeros((), device=logits_BCHW.device)
        if self._segmentation_weight > 0:
            total = total + self._segmentation_weight * self.segmentation(logits_BCHW, labels_BHW)
        for weight, difference in self._differences:
            if weight > 0:
                total = total + weight * difference(fake_BCHW, real_BCHW, labels_BHW)
        return total


def absolute_difference(fake_BCHW: Tensor, real_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
    """Return the mean over labelled pixels and channels of |fake - real|; 0 if all pixels are void.

    Args:
        fake_BCHW: The model's label images, float32.
        real_BCHW: Label images made from the labels, of the same shape.
        labels_BHW: Class ids, 255 for void.
    """
    return _mean((fake_BCHW - real_BCHW).abs().mean(dim=1), labels_BHW != IGNORE_INDEX)


def gradient_difference(
    fake_BCHW: Tensor, real_BCHW: Tensor, labels_BHW: Tensor, kind: Literal["hard", "soft"]
) -> Tensor:
    """Return the gradient-sensitive loss.

    The loss is the mean over labelled pixels of weight * ||gradient of fake| - |gradient of real||.
    Gradients come from the Sobel operator along rows and columns, and are averaged over channels. Li et al. 2018,
    "Semantic-aware Grad-GAN for Virtual-to-Real Urban Scene Adaption", arXiv 1801.01726; the weights of the soft form
    are from the authors' code.

    Args:
        fake_BCHW: The model's label images, float32.
        real_BCHW: Label images made from the labels, of the same shape.
        labels_BHW: Class ids, 255 for void.
        kind: With "hard", the weight is 1 next to a pixel of another class, else 0. With "soft", 1.0 and 0.1.
    """
    difference_BHW = (_sobel(fake_BCHW).abs() - _sobel(real_BCHW).abs()).abs().mean(dim=1)
    weights_BHW = boundary_map(labels_BHW, width_px=1, kind="hard")
    if kind == "soft":
        more, everywhere = SOFT_WEIGHTS
        weights_BHW = more * weights_BHW + everywhere
    return _mean(weights_BHW * difference_BHW, labels_BHW != IGNORE_INDEX)


def _sobel(image_BCHW: Tensor) -> Tensor:
    """Return derivatives along columns and rows of every channel, (B, 2 C, H, W); the border pixels are repeated."""
    padded = F.pad(image_BCHW, (1, 1, 1, 1), mode="replicate")
    along_columns = padded[..., 2:] - padded[..., :-2]
    along_rows = padded[..., 2:, :] - padded[..., :-2, :]
    by_columns = along_columns[..., :-2, :] + 2 * along_columns[..., 1:-1, :] + along_columns[..., 2:, :]
    by_rows = along_rows[..., :-2] + 2 * along_rows[..., 1:-1] + along_rows[..., 2:]
    return torch.cat([by_columns, by_rows], dim=1)


def _mean(values_BHW: Tensor, labelled_BHW: Tensor) -> Tensor:
    return (values_BHW * labelled_BHW).sum() / labelled_BHW.sum().clamp(min=1)
