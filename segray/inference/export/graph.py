"""ModelGraph: a model as one graph from photos to logits or labels, ready to be traced with free sizes.

A trace records the arithmetic of tensors; what Python computes from sizes is frozen. The padding, the resizing and the
average pools of a model are therefore written here in tensor operations.

Shape suffixes: B images, C channels or classes, H height, W width, N output pixels and M input pixels along a side.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import SizePx
from segray.errors import ConfigError
from segray.inference.export.photo_resize import resize_photos
from segray.models import SegmentationModel


@dataclass(frozen=True, kw_only=True)
class GraphOptions:
    """The steps of a graph beside the network; the normalisation is always part of it."""

    resize: bool = False
    """Resize photos to data.resize_px, and the logits back, so that photos of any size are right"""
    argmax: bool = False
    """Return labels (B, H, W), uint8, in place of logits (B, C, H, W), float32"""


class ModelGraph(nn.Module):
    """A model as one graph, which maps RGB photos (B, 3, H, W), uint8, to logits or labels.

    Args:
        model: The trained model; it is copied.
        options: What the graph does beside the network.
        resize_px: The size that the model was trained on, if photos were resized.
        free_size: Whether a trace shall hold for photos of any size.

    Raises:
        ConfigError: The graph shall resize, but the model was trained without resizing.
    """

    def __init__(
        self, model: SegmentationModel, options: GraphOptions, *, resize_px: SizePx | None, free_size: bool
    ) -> None:
        super().__init__()
        if options.resize and resize_px is None:
            raise ConfigError(
                "--resize puts the resizing to data.resize_px into the graph, but this model was trained on photos at "
                "their own size (data.resize_px is null); leave --resize out"
            )
        self.model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
        self.resize_px = resize_px if options.resize else None
        self.argmax = options.argmax
        # With the resizing inside, the network always gets the same size.
        self.pads_symbolically = free_size and not options.resize
        if self.pads_symbolically:
            _replace_pools(self.model)

    def forward(self, photos_BCHW: Tensor) -> Tensor:
        """Return logits (B, C, H, W), float32, or labels (B, H, W), uint8, at the photos' size."""
        if self.pads_symbolically:
            return _cropped(self._decided(self.model(self._padded(photos_BCHW))), photos_BCHW)
        if self.resize_px is None:
            return self._decided(self.model(photos_BCHW))
        logits_BCHW = self.model(resize_photos(photos_BCHW, self.resize_px))
        return self._decided(F.interpolate(logits_BCHW, photos_BCHW.shape[-2:], mode="bilinear", align_corners=False))

    def _decided(self, logits_BCHW: Tensor) -> Tensor:
        return logits_BCHW.argmax(dim=1).to(torch.uint8) if self.argmax else logits_BCHW

    def _padded(self, photos_BCHW: Tensor) -> Tensor:
        """Pad as ``SegmentationModel.forward`` does, by repeating the last row and column."""
        rows, columns = (
            torch.arange(self._padded_px(side), device=photos_BCHW.device).clamp(max=side - 1)
            for side in photos_BCHW.shape[-2:]
        )
        return photos_BCHW.index_select(2, rows).index_select(3, columns)

    def _padded_px(self, side_px: int) -> int:
        stride, smallest_px = self.model.stride, self.model.min_side_px
        at_least: Any = torch.sym_max(side_px, smallest_px) if smallest_px > 1 else side_px
        padded_px: int = (at_least + stride - 1) // stride * stride
        return padded_px


def _cropped(padded: Tensor, photos_BCHW: Tensor) -> Tensor:
    # Not a slice: a trace would record whether the slice happens to be contiguous, and refuse other sizes.
    rows, columns = (torch.arange(side, device=padded.device) for side in photos_BCHW.shape[-2:])
    return padded.index_select(-2, rows).index_select(-1, columns)


class SymbolicPool(nn.Module):
    """Adaptive average pooling whose trace holds for inputs of any size.

    PyTorch's own freezes the sizes of its bins. Here the bins are rows of a matrix that is computed from the size.
    """

    def __init__(self, output_px: SizePx) -> None:
        super().__init__()
        self.output_px = output_px

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the mean of each bin, (B, C, *output_px)."""
        rows_NM, columns_NM = (
            _bins(x_BCHW, source, side) for source, side in zip(x_BCHW.shape[-2:], self.output_px, strict=True)
        )
        return torch.matmul(torch.matmul(rows_NM, x_BCHW), columns_NM.T)


def _bins(like: Tensor, source: int, side: int) -> Tensor:
    """Return the weight of each input pixel in each bin, (N, M); bins as in PyTorch's AdaptiveAveragePooling.cpp."""
    bins_N1 = torch.arange(side, device=like.device)[:, None]
    pixels_M = torch.arange(source, device=like.device)
    starts_N1 = bins_N1 * source // side
    ends_N1 = ((bins_N1 + 1) * source + side - 1) // side
    inside_NM = (pixels_M >= starts_N1) & (pixels_M < ends_N1)
    return inside_NM.to(like.dtype) / (ends_N1 - starts_N1).to(like.dtype)


def _replace_pools(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d) and (output_px := _output_px(child)) is not None:
            setattr(module, name, SymbolicPool(output_px))
        else:
            _replace_pools(child)


def _output_px(pool: nn.AdaptiveAvgPool2d) -> SizePx | None:
    """Return the output size; None for a single bin, which is a plain mean, and for a side that keeps its size."""
    size: Any = pool.output_size
    rows, columns = (size, size) if isinstance(size, int) else size
    if rows is None or columns is None or (rows, columns) == (1, 1):
        return None
    return int(rows), int(columns)
