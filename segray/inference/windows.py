"""Sliding windows: large photos are predicted part by part, and the overlapping parts are blended.

Shape suffixes: B images, C channels or classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from segray.config import SizePx
from segray.errors import ConfigError

Forward = Callable[[Tensor], Tensor]
"""Maps RGB photos (B, 3, H, W), 0 to 255, to logits (B, classes, H, W), float32"""

SIGMA_SHARE: Final = 1 / 8
"""Standard deviation of the blend as a share of the window's side; nnU-Net's value (Isensee et al., Nature Methods
2021)"""
SMALLEST_WEIGHT: Final = 1e-3
"""Weight of a window's corners relative to its centre; keeps sums of weights away from 0"""

BATCH_PIXELS: Final = {"cpu": 2**20}
LARGE_BATCH_PIXELS: Final = 2**22
"""Pixels of the windows that a network gets at once, by type of device, and on every other device. On two cores, four
windows of 512x512 take a quarter less time together than one by one, because weights are reordered once for all."""


@dataclass(frozen=True)
class Windows:
    """A ``Forward`` that predicts a photo in overlapping windows, and blends them with Gaussian weights.

    Args:
        forward: Predicts a window.
        size_px: (height, width) of a window; a photo that is smaller on a side has one window there.
        overlap: Least share of a window's side that it shares with the next window, from 0 to below 1.
        batch_size: Windows that ``forward`` gets at once; None takes as many as have ``BATCH_PIXELS`` together.
    """

    forward: Forward
    size_px: SizePx
    overlap: float = 0.5
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_window(self.size_px, self.overlap)

    def __call__(self, photos_BCHW: Tensor) -> Tensor:
        """Return the blended logits of whole photos."""
        sides = photos_BCHW.shape[-2:]
        height, width = (min(window, side) for window, side in zip(self.size_px, sides, strict=True))
        corners = [
            (top, left)
            for top in window_starts(sides[0], height, self.overlap)
            for left in window_starts(sides[1], width, self.overlap)
        ]
        if len(corners) == 1:
            return self.forward(photos_BCHW)
        return torch.cat(
            [self._blend(photo_1CHW, corners, (height, width)) for photo_1CHW in photos_BCHW.chunk(len(photos_BCHW))]
        )

    def _blend(self, photo_1CHW: Tensor, corners: Sequence[tuple[int, int]], size_px: SizePx) -> Tensor:
        (height, width), sides = size_px, photo_1CHW.shape[-2:]
        weights_HW = gaussian_weights(size_px).to(photo_1CHW.device)
        total_HW = photo_1CHW.new_zeros(sides, dtype=torch.float32)
        blended_CHW: Tensor | None = None
        batch_pixels = BATCH_PIXELS.get(photo_1CHW.device.type, LARGE_BATCH_PIXELS)
        batch_size = self.batch_size or max(batch_pixels // (height * width), 1)
        for start in range(0, len(corners), batch_size):
            chosen = corners[start : start + batch_size]
            parts = [photo_1CHW[..., top : top + height, left : left + width] for top, left in chosen]
            logits_BCHW = self.forward(torch.cat(parts))
            if blended_CHW is None:
                blended_CHW = logits_BCHW.new_zeros((logits_BCHW.shape[1], *sides))
            for logits_CHW, (top, left) in zip(logits_BCHW, chosen, strict=True):
                blended_CHW[:, top : top + height, left : left + width].addcmul_(logits_CHW, weights_HW)
                total_HW[top : top + height, left : left + width].add_(weights_HW)
        assert blended_CHW is not None
        return blended_CHW.div_(total_HW)[None]


def check_window(size_px: SizePx, overlap: float) -> None:
    """Check the size and the overlap of windows.

    Raises:
        ConfigError: A side is below 1, or the overlap lies outside 0 to below 1.
    """
    if min(size_px) < 1:
        raise ConfigError(f"a window must be (height, width), both at least 1, but got {list(size_px)}")
    if not 0 <= overlap < 1:
        raise ConfigError(f"the overlap of windows must be at least 0 and below 1, but got {overlap:g}")


def window_starts(side_px: int, window_px: int, overlap: float) -> list[int]:
    """Return the first pixel of each window along a side: evenly spread, from the first pixel to the last window.

    Args:
        side_px: Length of the photo's side.
        window_px: Length of a window's side, at most ``side_px``.
        overlap: Least share of ``window_px`` that neighbours share.
    """
    step = max(int(window_px * (1 - overlap)), 1)
    num_windows = -(-(side_px - window_px) // step) + 1
    last = side_px - window_px
    return [round(index * last / max(num_windows - 1, 1)) for index in range(num_windows)]


@lru_cache(maxsize=8)
def gaussian_weights(size_px: SizePx) -> Tensor:
    """Return the weights of a window's pixels, (height, width), float32: largest in the centre, positive everywhere."""
    rows, columns = (_gaussian(side) for side in size_px)
    weights_HW = torch.outer(rows, columns)
    return weights_HW.div_(weights_HW.max()).clamp_(min=SMALLEST_WEIGHT)


def _gaussian(side_px: int) -> Tensor:
    offsets = torch.arange(side_px, dtype=torch.float64) - (side_px - 1) / 2
    return torch.exp(-0.5 * (offsets / (side_px * SIGMA_SHARE)) ** 2).float()
