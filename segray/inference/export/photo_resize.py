"""Resizing of photos as OpenCV does it (``segray.data.files.decode.resize_photo``), written in tensor operations.

An exported graph needs it, because training data is resized by OpenCV and a model is as good as its input is like that.
The formulas follow OpenCV's ``resize.cpp``: INTER_AREA weighs source pixels by their overlap; INTER_LINEAR computes in
whole numbers with weights of 11 bits. All sizes may be symbolic.

Shape suffixes: B images, C channels, H height, W width, N output pixels and M input pixels along a side.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from segray.config import SizePx

_LINEAR_ONE: Final = 2048
"""OpenCV's INTER_RESIZE_COEF_SCALE: the weight 1 of INTER_LINEAR."""
_LEAST_OVERLAP: Final = 1e-3
"""OpenCV leaves out source pixels that overlap less than this with an output pixel."""


def resize_photos(photos_BCHW: Tensor, size_px: SizePx) -> Tensor:
    """Return photos resized to (height, width): by area if they shrink, else linear.

    Args:
        photos_BCHW: RGB, uint8.
        size_px: (height, width), fixed.

    Returns:
        RGB from 0 to 255 in whole numbers, float32, (B, C, height, width).
    """
    height, width = photos_BCHW.shape[-2:]
    rows, columns = size_px
    sides = photos_BCHW.new_zeros((), dtype=torch.int64)
    # Sizes as tensors: a comparison of symbolic sizes in Python would fix its answer in the graph.
    height_0, width_0 = sides + height, sides + width
    shrinks = (height_0 >= rows) & (width_0 >= columns)
    area_BCHW = _by_area(photos_BCHW.float(), size_px)
    is_half = (height_0 == 2 * rows) & (width_0 == 2 * columns)
    # OpenCV rounds halves up where both sides are halved, and else to even numbers.
    area_BCHW = torch.where(is_half, (area_BCHW + 0.5).floor(), area_BCHW.round())
    return torch.where(shrinks, area_BCHW, _linear(photos_BCHW, size_px))


def _by_area(photos_BCHW: Tensor, size_px: SizePx) -> Tensor:
    rows_NM, columns_NM = (
        _overlaps(photos_BCHW, source, side) for source, side in zip(photos_BCHW.shape[-2:], size_px, strict=True)
    )
    return torch.matmul(torch.matmul(rows_NM, photos_BCHW), columns_NM.T)


def _overlaps(like: Tensor, source: int, side: int) -> Tensor:
    """Return the share of each output pixel that each source pixel covers, (N, M), float32."""
    scale = (like.new_zeros((), dtype=torch.float64) + source) / side
    starts_N1 = torch.arange(side, device=like.device, dtype=torch.float64)[:, None] * scale
    pixels_M = torch.arange(source, device=like.device, dtype=torch.float64)
    ends_N1 = starts_N1 + scale
    overlaps_NM = (torch.minimum(ends_N1, pixels_M + 1) - torch.maximum(starts_N1, pixels_M)).clamp(min=0)
    overlaps_NM = torch.where(overlaps_NM > _LEAST_OVERLAP, overlaps_NM, 0.0)
    return (overlaps_NM / overlaps_NM.sum(dim=1, keepdim=True)).float()


def _linear(photos_BCHW: Tensor, size_px: SizePx) -> Tensor:
    (top_N, bottom_N, down_N), (left_N, right_N, across_N) = (
        _neighbours(photos_BCHW, source, side) for source, side in zip(photos_BCHW.shape[-2:], size_px, strict=True)
    )
    whole_BCHW = photos_BCHW.int()
    mixed_BCHW = whole_BCHW[..., left_N] * (_LINEAR_ONE - across_N) + whole_BCHW[..., right_N] * across_N
    upper_BCHW, lower_BCHW = mixed_BCHW[:, :, top_N] >> 4, mixed_BCHW[:, :, bottom_N] >> 4
    down_N1 = down_N[:, None]
    sums_BCHW = ((upper_BCHW * (_LINEAR_ONE - down_N1)) >> 16) + ((lower_BCHW * down_N1) >> 16)
    return ((sums_BCHW + 2) >> 2).float()


def _neighbours(like: Tensor, source: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two source pixels of each output pixel, and the weight of the second from 0 to 2048; each (N,)."""
    last = like.new_zeros((), dtype=torch.int64) + (source - 1)
    scale = (like.new_zeros((), dtype=torch.float64) + source) / side
    centers_N = ((torch.arange(side, device=like.device, dtype=torch.float64) + 0.5) * scale - 0.5).float()
    floor_N = centers_N.floor()
    weights_N = ((centers_N - floor_N) * _LINEAR_ONE).round().int()
    first_N = floor_N.long()
    is_inside = (first_N >= 0) & (first_N < last)
    weights_N = torch.where(is_inside, weights_N, 0)
    first_N = torch.minimum(first_N.clamp(min=0), last)
    return first_N, torch.minimum(first_N + 1, last), weights_N
