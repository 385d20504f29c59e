"""How far the label image that a model makes is from the one made of the labels.

A label image has a channel per class (probabilities, and one-hot labels), or three (colours in -1..1). Where a pixel
is void, both are 0.

Shape suffixes: B images, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segray.labels import IGNORE_INDEX
from segray.losses.boundary import boundary_map

SOFT_WEIGHTS = (0.9, 0.1)
"""What an edge counts more at a class boundary, and what it counts everywhere, in the soft form."""


def absolute_difference(fake_BCHW: Tensor, real_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
    """Mean over labelled pixels and channels of |fake - real|; 0 where all is void.

    Args:
        fake_BCHW: The model's label images, float32.
        real_BCHW: The labels' label images, of the same shape.
        labels_BHW: Class ids, 255 for void.
    """
    return _mean((fake_BCHW - real_BCHW).abs().mean(dim=1), labels_BHW != IGNORE_INDEX)


def gradient_difference(
    fake_BCHW: Tensor, real_BCHW: Tensor, labels_BHW: Tensor, kind: Literal["hard", "soft"]
) -> Tensor:
    """The gradient-sensitive loss: mean over labelled pixels of weight * ||gradient of fake| - |gradient of real||.

    Gradients are those of the Sobel operator, along rows and columns, averaged over channels. Li et al. 2018,
    "Semantic-aware Grad-GAN for Virtual-to-Real Urban Scene Adaption", arXiv 1801.01726, whose authors' code has the
    weights of the soft form.

    Args:
        fake_BCHW: The model's label images, float32.
        real_BCHW: The labels' label images, of the same shape.
        labels_BHW: Class ids, 255 for void.
        kind: hard: the weight is 1 beside a pixel of another class, else 0; soft: 1.0 and 0.1.
    """
    difference_BHW = (_sobel(fake_BCHW).abs() - _sobel(real_BCHW).abs()).abs().mean(dim=1)
    weights_BHW = boundary_map(labels_BHW, width_px=1, kind="hard")
    if kind == "soft":
        more, everywhere = SOFT_WEIGHTS
        weights_BHW = more * weights_BHW + everywhere
    return _mean(weights_BHW * difference_BHW, labels_BHW != IGNORE_INDEX)


def _sobel(image_BCHW: Tensor) -> Tensor:
    """Derivatives along columns and rows of every channel, (B, 2 C, H, W); the border is repeated."""
    padded = F.pad(image_BCHW, (1, 1, 1, 1), mode="replicate")
    along_columns = padded[..., 2:] - padded[..., :-2]
    along_rows = padded[..., 2:, :] - padded[..., :-2, :]
    by_columns = along_columns[..., :-2, :] + 2 * along_columns[..., 1:-1, :] + along_columns[..., 2:, :]
    by_rows = along_rows[..., :-2] + 2 * along_rows[..., 1:-1] + along_rows[..., 2:]
    return torch.cat([by_columns, by_rows], dim=1)


def _mean(values_BHW: Tensor, labelled_BHW: Tensor) -> Tensor:
    return (values_BHW * labelled_BHW).sum() / labelled_BHW.sum().clamp(min=1)
