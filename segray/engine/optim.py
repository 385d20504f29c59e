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
"""How far one-cycle moves Adam's first beta: from 0.95 to 0.85 and back around torch's default of 0.9."""


def build_optimizer(model: nn.Module, config: OptimConfig, *, section: str = "optim") -> Optimizer:
    """The optimiser of a model's trainable parameters; vectors (biases, normalisation) are not decayed.

    What ``optim.l2`` holds for is a group of its own, with 2 * l2 more weight decay: torch's Adam and SGD add weight
    decay times w to the gradient, and that of ``l2 * sum(w^2)`` is ``2 * l2 * w``.

    Raises:
        ConfigError: ``optim.l2`` cannot be had with the optimiser, or holds for no parameter.
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
    """Check the penalty on chosen layers, and find them.

    Args:
        model: Its trainable parameters of two or more dimensions are the kernels.
        config: With an ``l2`` of 0 nothing is checked.
        section: The config section that it is, for messages.

    Returns:
        Names of the kernels that ``optim.l2`` holds for.

    Raises:
        ConfigError: The optimiser is AdamW, or the pattern is no regular expression or matches no kernel's name.
    """
    if config.l2 == 0:
        return set()
    if config.name == "adamw":
        raise ConfigError(
            f"{section}.l2 needs {section}.name adam or sgd, which add weight decay to the gradient, but got "
            f"l2={config.l2:g} with adamw; take one of those, or {section}.weight_decay"
        )
    try:
        pattern = re.compile(config.l2_layers)
    except re.error as error:
        raise ConfigError(
            f"{section}.l2_layers must be a regular expression, but got {config.l2_layers!r}: {error}"
        ) from None
    kernels = [name for name, p in model.named_parameters() if p.requires_grad and p.ndim > 1]
    chosen = {name for name in kernels if pattern.match(name)}
    if not chosen:
        starts = {".".join(name.split(".")[:depth]) for name in kernels for depth in (1, 2, 3)}
        rule = "it must match the start of the name of a kernel that is trained"
        raise ConfigError(f"{unknown_name(f'{section}.l2_layers', config.l2_layers, starts)}; {rule}")
    return chosen


def build_schedule(
    optimizer: Optimizer, config: OptimConfig, *, epochs: int, steps_per_epoch: int, section: str = "optim"
) -> LRScheduler:
    """The schedule of a whole run, stepped once after every batch.

    It reaches its end (``final_lr`` for cosine, poly and linear) after the last step, so no step is spent at a rate of
    zero.
    One-cycle (Smith and Topin, 2018, arXiv 1708.07120) also cycles Adam's first beta, by 0.05 around the config's;
    SGD's momentum stays.

    Raises:
        ConfigError: The warm-up takes the whole run, or the rate would rise to its end.
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
    num_warmup = min(round(config.warmup_epochs * steps_per_epoch), num_steps - 1)
    decay, floor = _DECAYS[config.schedule], config.final_lr / config.lr

    def factor(step: int) -> float:
        if step < num_warmup:
            return (step + 1) / (num_warmup + 1)
        return floor + (1 - floor) * decay((step - num_warmup) / (num_steps - num_warmup), config)

    return LambdaLR(optimizer, factor)


def check_schedule(config: OptimConfig, epochs: int, *, section: str = "optim") -> None:
    """Check that a run has epochs left after its warm-up, and that its learning rate does not rise to its end.

    Raises:
        ConfigError: The warm-up takes the whole run, or the final rate is above the peak.
    """
    if config.final_lr > config.lr:
        raise ConfigError(
            f"{section}.final_lr must be at most {section}.lr, but got {config.final_lr:g} with {config.lr:g}; lower it"
        )
    if config.schedule != "onecycle" and config.warmup_epochs >= epochs:
        raise ConfigError(
            f"{section}.warmup_epochs must be below train.epochs, but got {config.warmup_epochs:g} of {epochs}; "
            "shorten the warm-up or train longer"
        )


# Share of the way from the final rate to the peak that is left after the share `done` (0 to 1) of what follows warm-up.
_DECAYS: dict[str, Callable[[float, OptimConfig], float]] = {
    "cosine": lambda done, _: (1 + math.cos(math.pi * done)) / 2,
    "poly": lambda done, config: (1 - done) ** config.poly_power,
    "linear": lambda done, _: min(1.0, 2 * (1 - done)),
    "constant": lambda _done, _config: 1.0,
}
