"""Sizes of batches: how many images a worker trains on, and validates on, at once."""

from __future__ import annotations

import math

from segray.config import DataConfig, RunConfig
from segray.data.batches.augmentation import training_size
from segray.data.preparation import PreparedData, prepare
from segray.engine.distributed import world_size
from segray.errors import ConfigError
from segray.models import check_train_shape


def per_rank_batch_size(config: RunConfig, num_workers: int | None = None) -> int:
    """Return the images per step on the worker that gets the fewest.

    Raises:
        ConfigError: The batch has fewer images than there are workers.
    """
    num_workers = num_workers or world_size()
    if config.train.batch_size < num_workers:
        raise ConfigError(
            f"train.batch_size is shared by all workers of a trial and must be at least their number, but got batch "
            f"{config.train.batch_size} with {num_workers} workers; use a larger batch or fewer workers"
        )
    return config.train.batch_size // num_workers


def max_micro_batches(config: RunConfig) -> int:
    """Return the largest number of parts that a worker's batch can be split into.

    A part is at least one image, or two if the architecture cannot train on one; see ``check_train_shape``.

    Args:
        config: The run of a trial that is being trained.
    """
    batch_size = per_rank_batch_size(config)
    size_px = training_size(prepare(config.data).train, config.data.crop_px)
    try:
        check_train_shape(config.model, batch_size=1, size_px=size_px)
    except ConfigError:
        return max(1, batch_size // 2)
    return batch_size


def val_batch_size(config: DataConfig, data: PreparedData, train_batch_size: int) -> int:
    """Return how many validation images have no more pixels than a training batch of crops; at least one."""
    train_pixels = train_batch_size * math.prod(training_size(data.train, config.crop_px))
    return max(1, train_pixels // int(data.val.sizes.prod(axis=1).max()))
