"""The check of constraints: the first trial is the baseline, so it must meet them."""

from __future__ import annotations

from segray.config import RunConfig
from segray.data.preparation import PreparedData
from segray.engine.properties import measure_properties
from segray.errors import ConfigError
from segray.goals import Goals
from segray.models import build_model


def check_first_trial(goals: Goals, config: RunConfig, data: PreparedData, *, on_cpu: bool) -> None:
    """Measure the first trial's network, untrained and in this process, against the constraints.

    Args:
        goals: The goals.
        config: The first trial.
        data: Its data.
        on_cpu: Whether trials train on CPUs. A GPU's latency and the peak memory are only known to the trial itself.

    Raises:
        ConfigError: The network breaks a constraint.
    """
    known = {"params", "flops", *(("latency_ms",) if on_cpu else ())}
    names = [name for name in dict.fromkeys(item.name for item in goals.constraints) if name in known]
    if not names:
        return
    untrained = config.model.model_copy(update={"encoder_weights": "none"})
    network = build_model(untrained, data.label_space.num_classes, palette=data.label_space.colors)
    height, width = data.val.sizes[0].tolist()
    if broken := goals.broken(measure_properties(network, config, names, (height, width))):
        raise ConfigError(
            f"the first trial, which the report compares others with, must meet the constraints, but {broken}; choose "
            "a first trial that meets them, or another bound"
        )
