"""Checks that trials fit into a GPU's memory, by lower bounds: a trial that fits is never refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from segray import text
from segray.config import DataConfig, RunConfig
from segray.data.batches.augmentation import training_size
from segray.data.preparation import PreparedData
from segray.engine.batch_size import per_rank_batch_size
from segray.engine.footprint import footprint
from segray.errors import ConfigError
from segray.models import model_name


def check_memory(
    configs: Sequence[RunConfig],
    data: Mapping[DataConfig, PreparedData],
    num_workers: int,
    gpu_bytes: int,
    announce: Callable[[str], None],
) -> None:
    """Refuse trials that cannot fit into a GPU even one image at a time, and say which must split their batches.

    Args:
        configs: The trials to check.
        data: The data of each.
        num_workers: Workers a trial, among which its batch is divided.
        gpu_bytes: Memory of the largest GPU.
        announce: Told how many trials must split their batches.

    Raises:
        ConfigError: A trial needs more memory than the GPU has.
    """
    split = {}
    for config in configs:
        num_images = per_rank_batch_size(config, num_workers)
        size_px = training_size(data[config.data].train, config.data.crop_px)
        needed = footprint(config, data[config.data].label_space.num_classes, size_px)
        what = f"{model_name(config.model)} on {size_px[0]}x{size_px[1]} px"
        if needed.least(num_images) > gpu_bytes:
            raise ConfigError(
                f"{what} needs at least {text.data_size(needed.least(num_images))} of memory, but the GPU has "
                f"{text.data_size(gpu_bytes)}: weights and optimiser {text.data_size(needed.lasting)}, gradients "
                f"{text.data_size(needed.gradients)}, tensors that one image leaves for the backward pass "
                f"{text.data_size(needed.image)}; choose a smaller data.crop_px or model"
            )
        if needed.whole(num_images) > gpu_bytes:
            split[what, num_images] = needed.whole(num_images)
    if split:
        (what, num_images), num_bytes = max(split.items(), key=lambda item: item[1])
        announce(
            f"a GPU of {text.data_size(gpu_bytes)} cannot hold the whole batch of {len(split)} combinations of model, "
            f"crop and batch: they are split, such as {what} with {num_images} images a worker, which take at least "
            f"{text.data_size(num_bytes)}"
        )
