"""The properties of a trial's network that need no training: latency, parameters, floating-point operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch

from segray.activity import doing
from segray.config import RunConfig, SizePx
from segray.data.preparation import PreparedData
from segray.engine.distributed import from_first_rank
from segray.engine.endings import Infeasible
from segray.engine.precision import autocast, resolve_precision
from segray.engine.state import TrainState
from segray.engine.timing import time_in_turns
from segray.goals import PEAK_MEMORY, Goals
from segray.models import SegmentationModel
from segray.models.model_size import flops_per_photo, model_size
from segray.records import CheckpointPointer, EpochRecord

TURN_SECONDS: Final = 0.15
"""Time of the warm-up, and of each of five turns, of a latency"""


def measured_properties(
    state: TrainState, config: RunConfig, goals: Goals, data: PreparedData, last: CheckpointPointer | None
) -> dict[str, float | None]:
    """Return the properties that the goals ask for: those of the last record, or else measured on rank 0 and checked.

    A trial that goes on keeps its numbers, since a latency beside other work is never the same twice.

    Raises:
        Infeasible: A measured property breaks a constraint.
    """
    if last is not None and all(name in last.record.scores for name in goals.properties):
        return {name: last.record.scores[name] for name in goals.properties}
    if not goals.properties:
        return {}
    doing("measuring the network")
    height, width = data.val.sizes[0].tolist()
    found = from_first_rank(lambda: measure_properties(state.kept_model, config, goals.properties, (height, width)))
    check_constraints(goals, found)
    return dict(found)


def with_properties(record: EpochRecord, goals: Goals, properties: Mapping[str, float | None]) -> EpochRecord:
    """Return an epoch's record with the properties that the goals ask for."""
    if not goals.properties:
        return record
    peak = record.peak_memory_bytes
    found = {**properties, PEAK_MEMORY: None if peak is None else peak / 1e6}
    return record.model_copy(update={"scores": record.scores | {name: found[name] for name in goals.properties}})


def check_constraints(goals: Goals, found: Mapping[str, float | None]) -> None:
    """Check the properties that are known.

    Raises:
        Infeasible: One of them breaks a constraint.
    """
    if broken := goals.broken(found):
        raise Infeasible(broken)


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
    # Other slots work beside it: the median of two slots on two cores differed twofold between trials of one network.
    return timings["network"].min_seconds
