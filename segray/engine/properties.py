"""The properties of a trial's network that need no training: latency, parameters, floating-point operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from segray.config import RunConfig, SizePx
from segray.engine.precision import autocast, resolve_precision
from segray.engine.timing import time_in_turns
from segray.goals import PEAK_MEMORY
from segray.models import SegmentationModel
from segray.models.model_size import flops_per_photo, model_size

TURN_SECONDS: Final = 0.15
"""Time of the warm-up, and of each of five turns, of a latency"""


def measure_properties(
    network: SegmentationModel, config: RunConfig, names: Sequence[str], size_px: SizePx
) -> dict[str, float]:
    """Return the properties of a network by name; all but the peak memory, which training tells.

    Args:
        network: The network, on the device that it is measured on; it is set to evaluation mode.
        config: The run, which decides the precision.
        names: Names of ``PROPERTIES``.
        size_px: Height and width of the photo.
    """
    network.eval()
    # Functions, since a latency takes a second.
    measures = {
        "latency_ms": lambda: 1000 * _latency_seconds(network, config, size_px),
        "params": lambda: float(model_size(network).num_parameters),
        "flops": lambda: float(flops_per_photo(network, size_px)),
    }
    return {name: measures[name]() for name in names if name != PEAK_MEMORY}


def _latency_seconds(network: SegmentationModel, config: RunConfig, size_px: SizePx) -> float:
    device = next(network.parameters()).device
    photos_BCHW = torch.zeros(1, 3, *size_px, dtype=torch.uint8, device=device)
    precision = resolve_precision(config.train.precision, device)

    def synchronise() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def predict() -> None:
        with torch.inference_mode(), autocast(device, precision):
            network(photos_BCHW)

    timings = time_in_turns(
        {"network": predict}, seconds=TURN_SECONDS, warmup_seconds=TURN_SECONDS, synchronise=synchronise
    )
    return timings["network"].median_seconds
