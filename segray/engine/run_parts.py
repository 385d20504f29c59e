"""The parts of a run that its config and data decide: loader of training batches, validation and training step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypedDict

import torch

from segray.config import RunConfig
from segray.data.batches.loaders import TrainLoader, train_loader, val_loader
from segray.data.preparation import PreparedData
from segray.engine.adversarial import AdversarialStep
from segray.engine.batch_size import per_rank_batch_size, val_batch_size
from segray.engine.distributed import rank, world_size
from segray.engine.hold import Hold, resting
from segray.engine.precision import resolve_precision
from segray.engine.steps import Step, SupervisedStep
from segray.engine.validation import Validation
from segray.losses import build_loss

MAX_VAL_LOADER_WORKERS: Final = 2
"""Two suffice: validation images are copied from the shards without augmentation."""


class _LoaderOptions(TypedDict):
    rank: int
    world_size: int
    pin_memory: bool


def build_train_loader(config: RunConfig, data: PreparedData, device: torch.device, num_workers: int) -> TrainLoader:
    """Build this rank's loader of training batches.

    Args:
        config: The run.
        data: The run's data.
        device: The device to train on.
        num_workers: Number of loader processes; 0 loads in this process.

    Raises:
        ConfigError: The batch is larger than the training split, or images without a crop differ in size.
        ResourceError: Loader processes need more shared memory than there is.
    """
    return train_loader(
        data.train,
        config.data,
        batch_size=config.train.batch_size,
        seed=config.seed,
        num_workers=num_workers,
        **_loader_options(device),
    )


def build_validation(
    config: RunConfig,
    data: PreparedData,
    device: torch.device,
    interrupted: Callable[[], bool] = lambda: False,
    hold: Hold | None = None,
    *,
    micro_batches: int,
    num_workers: int,
) -> Validation:
    """Build the validation of a trial; its batches have no more pixels than a part of a training batch."""
    part_size = math.ceil(per_rank_batch_size(config) / micro_batches)
    whole_images = val_loader(
        data.val,
        batch_size=val_batch_size(config.data, data, part_size),
        num_workers=min(num_workers, MAX_VAL_LOADER_WORKERS),
        **_loader_options(device),
    )
    return Validation(config, data, whole_images, device, resting(interrupted, hold))


def build_step(config: RunConfig, data: PreparedData, device: torch.device, micro_batches: int = 1) -> Step:
    """Build the training step of a run: adversarial if training compares label images, else supervised.

    Args:
        config: The run.
        data: The run's data.
        device: The device to train on.
        micro_batches: Number of parts that a batch is split into.

    Raises:
        ConfigError: A loss has settings that cannot work.
    """
    loss = build_loss(config.loss, data.train.class_pixels)
    precision = resolve_precision(config.train.precision, device)
    if config.gan.compares_label_images:
        return AdversarialStep(loss, config.gan, data.label_space, device, precision, micro_batches=micro_batches)
    return SupervisedStep(loss, device, precision, micro_batches=micro_batches)


def _loader_options(device: torch.device) -> _LoaderOptions:
    return _LoaderOptions(rank=rank(), world_size=world_size(), pin_memory=device.type == "cuda")
