"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from segray.config import OptimConfig
from segray.errors import ConfigError


def build_optimizer(model: nn.Module, config: OptimConfig) -> Optimizer:
    """The optimiser of a model's trainable parameters; vectors (biases, normalisation) are not decayed."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    match config.name:
        case "adamw":
            return AdamW(groups, lr=config.lr, fused=True)
        case "adam":
            return Adam(groups, lr=config.lr, fused=True)
        case "sgd":
            return SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)


def build_schedule(optimizer: Optimizer, config: OptimConfig, *, epochs: int, steps_per_epoch: int) -> LRScheduler:
    """The schedule of a whole run, stepped once after every batch.

    It reaches its end (0 for cosine and poly) after the last step, so no step is spent at a rate of zero.
    One-cycle (Smith and Topin, 2018, arXiv 1708.07120) also cycles Adam's first beta; SGD's momentum stays.

    Raises:
        ConfigError: The warm-up takes the whole run.
    """
    check_warmup(config, epochs)
    num_steps = epochs * steps_per_epoch
    if config.schedule == "onecycle":
        return OneCycleLR(optimizer, config.lr, total_steps=num_steps + 1, cycle_momentum=config.name != "sgd")
    num_warmup = min(round(config.warmup_epochs * steps_per_epoch), num_steps - 1)
    decay = _DECAYS[config.schedule]

    def factor(step: int) -> float:
        if step < num_warmup:
            return (step + 1) / (num_warmup + 1)
        return decay((step - num_warmup) / (num_steps - num_warmup), config)

    return LambdaLR(optimizer, factor)


def check_warmup(config: OptimConfig, epochs: int) -> None:
    """Check that a run has epochs left after its warm-up.

    Raises:
        ConfigError: The warm-up takes the whole run.
    """
    if config.schedule != "onecycle" and config.warmup_epochs >= epochs:
        raise ConfigError(
            f"optim.warmup_epochs must be below train.epochs, but got {config.warmup_epochs:g} of {epochs}; "
            "shorten the warm-up or train longer"
        )


# Share of the peak rate left after the share `done` (0 to 1) of the steps that follow the warm-up.
_DECAYS: dict[str, Callable[[float, OptimConfig], float]] = {
    "cosine": lambda done, _: (1 + math.cos(math.pi * done)) / 2,
    "poly": lambda done, config: (1 - done) ** config.poly_power,
    "constant": lambda _done, _config: 1.0,
}
