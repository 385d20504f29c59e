"""Masks of the pixels of each class.

Shape suffixes: B images, C classes, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from segray.labels import IGNORE_INDEX


def class_masks(labels_BHW: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return boolean masks of each class (B, C, H, W) and of all labelled pixels (B, 1, H, W).

    The masks take a tenth of the memory of ``torch.nn.functional.one_hot``, which also fails on void pixels.
    """
    labels_B1HW = labels_BHW.to(torch.uint8).unsqueeze(1)
    classes_C11 = torch.arange(num_classes, dtype=torch.uint8, device=labels_BHW.device).view(-1, 1, 1)
    return labels_B1HW == classes_C11, labels_B1HW != IGNORE_INDEX
