"""The size of a model: parameters, bytes, and floating-point operations for a photo."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from segray.config import SizePx
from segray.models.segmentation import SegmentationModel


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """The size of a model, whatever the photo."""

    num_parameters: int
    num_bytes: int
    """Parameters and buffers, as they are in memory"""


def model_size(model: SegmentationModel) -> ModelSize:
    """Return the size of a model."""
    parameters = list(model.parameters())
    kept = [*parameters, *model.buffers()]
    return ModelSize(
        num_parameters=sum(parameter.numel() for parameter in parameters),
        num_bytes=sum(tensor.numel() * tensor.element_size() for tensor in kept),
    )


def flops_per_photo(model: SegmentationModel, size_px: SizePx) -> int:
    """Return the floating-point operations for one photo, as ``torch.utils.flop_counter`` counts them.

    Convolutions, matrix products and attention count, a multiplication and an addition as two; normalisation,
    activations, pooling and resizing do not count. Papers often give half of it, as multiply-accumulates.
    """
    parameter = next(model.parameters())
    photos_BCHW = torch.zeros(1, 3, *size_px, dtype=torch.uint8, device=parameter.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(photos_BCHW)
    return int(counter.get_total_flops())
