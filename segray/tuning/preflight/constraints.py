"""The check of constraints: the first trial is the baseline, so it must meet them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from segray.config import DataConfig
from segray.data.preparation import PreparedData
from segray.engine.memory import PeakMemory
from segray.engine.properties import measure_properties
from segray.errors import ConfigError
from segray.goals import PEAK_MEMORY, Goals
from segray.models import build_model
from segray.tuning.points import Point, draw_point, first_of
from segray.tuning.preflight.drawn import Drawn


def check_constraints(
    goals: Goals, drawn: Drawn, data: Mapping[DataConfig, PreparedData], cpu_threads: int | None
) -> None:
    """Check that properties can be measured here, and the first trial's network against the constraints.

    The network is untrained, and measured in this process. Without a given first trial, the baseline is drawn later.

    Args:
        goals: The goals.
        drawn: What the trials will be.
        data: Their data.
        cpu_threads: CPU threads of a worker; None if trials train on GPUs. A GPU's latency and the peak memory are only
            known to the trial itself.

    Raises:
        ConfigError: The network breaks a constraint, or this machine cannot measure a property.
    """
    if PEAK_MEMORY in goals.properties and cpu_threads and PeakMemory(torch.device("cpu")).num_bytes() is None:
        raise ConfigError(f"{PEAK_MEMORY} cannot be measured on CPUs here, only on Linux and on GPUs; leave it out")
    known = {"params", "flops", *(("latency_ms",) if cpu_threads else ())}
    names = [name for name in dict.fromkeys(item.name for item in goals.constraints) if name in known]
    if not names or not drawn.first_trials:
        return
    config = drawn.base.with_values(draw_point(drawn.space, Point(drawn.first_trials[0], first_of)).values)
    own = data[config.data]
    untrained = config.model.model_copy(update={"encoder_weights": "none"})
    network = build_model(untrained, own.label_space.num_classes, palette=own.label_space.colors)
    height, width = own.val.sizes[0].tolist()
    threads = torch.get_num_threads()
    torch.set_num_threads(cpu_threads or threads)
    try:
        found = measure_properties(network, config, names, (height, width))
    finally:
        torch.set_num_threads(threads)
    if broken := goals.broken(found):
        raise ConfigError(
            f"the first trial, which the report compares others with, must meet the constraints, but {broken}; choose "
            "a first trial that meets them, or another bound"
        )
