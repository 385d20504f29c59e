"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from segray.config import OptimConfig
from segray.errors import ConfigError, unknown_name

BETA1_CYCLE = 0.05
"""The range by which one-cycle moves Adam's first beta up and down: 0.95 to 0.85 and back, around torch's 0.9."""


def build_optimizer(model: nn.Module, config: OptimConfig, *, section: str = "optim") -> Optimizer:
    """Build the optimiser of a model's trainable parameters; vectors (biases, normalisation) have no weight decay.

    The kernels that ``optim.l2`` penalises form a parameter group with 2 * l2 more weight decay: torch's Adam and SGD
    add weight decay times w to the gradient, and the gradient of ``l2 * sum(w^2)`` is ``2 * l2 * w``.

    Raises:
        ConfigError: The optimiser does not support ``optim.l2``, or ``optim.l2_layers`` matches no kernel.
    """
    l2_names = check_l2(model, config, section=section)
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    kernels = [p for name, p in trained if p.ndim > 1 and name not in l2_names]
    groups = [
        {"params": kernels, "weight_decay": config.weight_decay},
        {"params": [p for _, p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if l2_names:
        penalised = [p for name, p in trained if name in l2_names]
        groups.append({"params": penalised, "weight_decay": config.weight_decay + 2 * config.l2})
    match config.name:
        case "adamw":
            return AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), fused=True)
        case "adam":
            return Adam(groups, lr=config.lr, betas=(config.beta1, config.beta2), fused=True)
        case "sgd":
            return SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)


def check_l2(model: nn.Module, config: OptimConfig, *, section: str = "optim") -> set[str]:
    """Check the L2 penalty, and return the names of the kernels that it applies to.

    Args:
        model: The model; its trainable parameters of two or more dimensions are the kernels.
        config: The optimiser's config; with an ``l2`` of 0 nothing is checked.
        section: Name of the config section, for messages.

    Returns:
        Names of the kernels that ``optim.l2`` penalises.

    Raises:
        ConfigError: The optimiser is AdamW, or the pattern is no regular expression or matches no kernel's name.
    """
    if config.l2 == 0:
        return set()
    if config.name == "adamw":
        raise ConfigError(
            f"{section}.l2 needs {section}.name adam or sgd, which add weight decay to the gradient, but got "
            f"l2={config.l2:g} with adamw; choose adam or sgd, or use {section}.weight_decay instead"
        )
    try:
        pattern = re.compile(config.l2_layers)
    except re.error as error:
        raise ConfigError(
            f"{section}.l2_layers must be a regular expression, but got {config.l2_layers!r}: {error}; use the start "
            "of the parameters' names, such as network.decoder."
        ) from None
    kernels = [name for name, p in model.named_parameters() if p.requires_grad and p.ndim > 1]
    chosen = {name for name in kernels if pattern.match(name)}
    if not chosen:
        starts = {".".join(name.split(".")[:depth]) for name in kernels for depth in (1, 2, 3)}
        rule = "it must match the start of a trainable kernel's name"
        raise ConfigError(f"{unknown_name(f'{section}.l2_layers', config.l2_layers, starts)}; {rule}")
    return chosen


def build_schedule(
    optimizer: Optimizer, config: OptimConfig, *, epochs: int, steps_per_epoch: int, section: str = "optim"
) -> LRScheduler:
    """Build the learning-rate schedule of a whole run, stepped once after every batch.

    The schedule reaches its end (``final_lr`` for cosine, poly and linear) after the last step, so that no step is
    spent at a learning rate of zero.
    One-cycle (Smith and Topin, 2018, arXiv 1708.07120) also cycles Adam's first beta, by 0.05 around the config's
    value; SGD's momentum stays constant.

    Raises:
        ConfigError: The warm-up takes the whole run, or the final learning rate is above the peak.
    """
    check_schedule(config, epochs, section=section)
    num_steps = epochs * steps_per_epoch
    if config.schedule == "onecycle":
        return OneCycleLR(
            optimizer,
            config.lr,
            total_steps=num_steps + 1,
            cycle_momentum=config.name != "sgd",
            base_momentum=max(0.0, config.beta1 - BETA1_CYCLE),
            max_momentum=min(config.beta1 + BETA1_CYCLE, 0.999),
        )
    # At least one step is left after the warm-up, which the decay divides by.
    num_warmup = min(round(config.warmup_epochs * steps_per_epoch), num_steps - 1)
    decay, floor = _DECAYS[config.schedule], config.final_lr / config.lr

    def factor(step: int) -> float:
        if step < num_warmup:
            return (step + 1) / (num_warmup + 1)
        return floor + (1 - floor) * decay((step - num_warmup) / (num_steps - num_warmup), config)

    return LambdaLR(optimizer, factor)


def check_schedule(config: OptimConfig, epochs: int, *, section: str = "optim") -> None:
    """Check that epochs are left after the warm-up, and that the learning rate does not end above its peak.

    Raises:
        ConfigError: The warm-up takes the whole run, or the final learning rate is above the peak.
    """
    if config.final_lr > config.lr:
        raise ConfigError(
            f"{section}.final_lr must be at most {section}.lr, but got {config.final_lr:g} with {config.lr:g}; lower "
            f"{section}.final_lr"
        )
    if config.schedule != "onecycle" and config.warmup_epochs >= epochs:
        raise ConfigError(
            f"{section}.warmup_epochs must be below train.epochs, but got {config.warmup_epochs:g} of {epochs}; "
            "shorten the warm-up or train longer"
        )


# Where the learning rate lies between the final rate (0) and the peak (1), by the share of steps done after warm-up.
_DECAYS: dict[str, Callable[[float, OptimConfig], float]] = {
    "cosine": lambda done, _: (1 + math.cos(math.pi * done)) / 2,
    "poly": lambda done, config: (1 - done) ** config.poly_power,
    "linear": lambda done, _: min(1.0, 2 * (1 - done)),
    "constant": lambda _done, _config: 1.0,
}
