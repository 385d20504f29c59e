"""The prediction at the photo's own size, from the logits of the size that the model was trained on.

Shape suffixes: B images, C channels or classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segray.config import SizePx

BAND_PIXELS: Final = 2**21
"""Most pixels of a band, in which logits are enlarged part by part: 19 classes of them take 160 MB."""


def labels_at(logits_CHW: Tensor, size_px: SizePx) -> NDArray[np.uint8]:
    """Return the class with the largest logit at each pixel of a size, (H, W); logits are resized bilinearly.

    The logits are resized in bands of rows, so that a large photo does not need all logits at its size at once.
    """
    parts = [band_CHW.max(dim=0).indices.to(torch.uint8).cpu() for band_CHW in _bands(logits_CHW, size_px)]
    return torch.cat(parts).numpy()


def probabilities_at(logits_CHW: Tensor, size_px: SizePx) -> NDArray[np.float32]:
    """Return the softmax of the logits at each pixel of a size, (C, H, W)."""
    parts = [torch.softmax(band_CHW, dim=0).cpu() for band_CHW in _bands(logits_CHW, size_px)]
    return torch.cat(parts, dim=1).numpy()


def logits_at(logits_CHW: Tensor, size_px: SizePx) -> Tensor:
    """Return all logits at a size, (C, H, W), resized bilinearly."""
    return torch.cat(list(_bands(logits_CHW, size_px)), dim=1)


def _bands(logits_CHW: Tensor, size_px: SizePx) -> Iterator[Tensor]:
    """Yield the logits at a size in bands of rows, from top to bottom, each (C, rows, W)."""
    height, width = size_px
    num_rows, num_columns = logits_CHW.shape[-2:]
    if (num_rows, num_columns) == (height, width):
        yield logits_CHW
        return
    # Rows first: each output row is a mix of two input rows, as F.interpolate does it without align_corners.
    centers = ((torch.arange(height, dtype=torch.float64) + 0.5) * (num_rows / height) - 0.5).clamp(0, num_rows - 1)
    above = centers.floor().long()
    below = (above + 1).clamp(max=num_rows - 1)
    shares_HW = (centers - above).float()[:, None].to(logits_CHW.device)
    rows_per_band = max(BAND_PIXELS // width, 1)
    for start in range(0, height, rows_per_band):
        band = slice(start, start + rows_per_band)
        mixed_CHW = torch.lerp(logits_CHW[:, above[band]], logits_CHW[:, below[band]], shares_HW[band])
        size = (mixed_CHW.shape[1], width)
        yield F.interpolate(mixed_CHW[None], size, mode="bilinear", align_corners=False)[0]
