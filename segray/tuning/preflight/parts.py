"""Checks of a config's parts that need no data: names, losses, networks, and keys that mean nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from segray.config import ModelConfig, RunConfig
from segray.config.keys import SAME_IN_ALL_TRIALS, marks, values_deciding
from segray.config.mark import Use
from segray.data.batches.augmentation import strengths
from segray.data.datasets import dataset_kind
from segray.engine.adversary import check_adversary
from segray.engine.optim import check_l2, check_schedule
from segray.errors import ConfigError
from segray.losses import check_loss
from segray.models import (
    WITHOUT_ENCODER,
    check_encoder_files,
    check_model,
    meta_model,
    resolve_encoder_weights,
)
from segray.tuning.space import Distribution

T = TypeVar("T")


def distinct(items: Iterable[T]) -> list[T]:
    """Return each item once, in the order of the first occurrences."""
    return list(dict.fromkeys(items))


def check_choices(config: RunConfig) -> None:
    """Check what can be checked of one run without its data: names, and whether its model can be built.

    Raises:
        ConfigError: A name is unknown, or a combination cannot work.
    """
    dataset_kind(config.data.dataset)
    strengths(config.data)
    check_loss(config.loss)
    check_model(config.model)
    _check_l2([config])
    check_schedule(config.optim, config.train.epochs)
    check_adversary(config.gan, config.train.epochs, config.data.crop_px)


def check_comparable(base: RunConfig, configs: Sequence[RunConfig]) -> None:
    """Refuse a space in which trials would be trained or judged on other images, or told other classes apart.

    Raises:
        ConfigError: A key differs that must be the same in all trials.
    """
    datas = distinct(config.data for config in (base, *configs))
    expected, *others = (values_deciding(data, *SAME_IN_ALL_TRIALS) for data in datas)
    varied = [key for key, value in expected.items() if any(other[key] != value for other in others)]
    if varied:
        raise ConfigError(
            f"{', '.join(varied)} cannot be searched: trials on different images, sizes or classes are not "
            "comparable; set it in the study's base config, and run a sweep for each value"
        )


def check_parts(configs: Sequence[RunConfig], distributions: Mapping[str, Distribution]) -> None:
    """Check losses, networks and the use of searched keys.

    Raises:
        ConfigError: A name is unknown, a combination cannot work, or a searched key means nothing in any trial.
    """
    for loss in distinct(config.loss for config in configs):
        check_loss(loss)
    _check_used(configs, distributions)
    # Each network once, however many learning rates go with it: a check takes 0.3 s.
    for model in distinct(config.model for config in configs):
        check_model(model)
    _check_l2(configs)


def resolve_weights(models: Sequence[ModelConfig]) -> tuple[str, str]:
    """Return what model.encoder_weights is in all trials, and a line on why.

    The whole sweep has one answer, because trials with and without pretrained weights cannot be compared. Families
    without a pretrained encoder have no say, unless there are no others.

    Raises:
        ConfigError: Weights cannot be fetched, or a file is missing or does not fit.
    """
    with_encoder = [model for model in models if model.name not in WITHOUT_ENCODER]
    for choice in distinct(model.encoder_weights for model in with_encoder):
        # All encoders together, so that one message names every file that a folder lacks.
        check_encoder_files(sorted({m.encoder for m in with_encoder if m.encoder_weights == choice}), choice)
    asked = with_encoder or models
    resolved = {model.encoder: resolve_encoder_weights(model) for model in asked}
    value, line = resolved[asked[0].encoder]
    for encoder, (other, other_line) in resolved.items():
        if other == "none" and value != "none":
            return "none", f"all encoders start from scratch, because {encoder} does: {other_line}"
    if value not in ("none", "imagenet"):
        line = f"encoder weights: {value} for {', '.join(sorted(resolved))}"
    return value, line


def _check_l2(configs: Sequence[RunConfig]) -> None:
    # The check builds the network, so configs that share it are checked as one.
    penalised = {(c.model, c.optim.name, c.optim.l2_layers): c for c in configs if c.optim.l2 > 0}
    for config in penalised.values():
        check_l2(meta_model(config.model), config.optim)


def _check_used(configs: Sequence[RunConfig], distributions: Mapping[str, Distribution]) -> None:
    searched: dict[Use, list[str]] = {}
    for key in distributions:
        for use in marks()[key].uses:
            searched.setdefault(use, []).append(key)
    runs = [config.flat() for config in configs] if searched else []
    for use, keys in searched.items():
        # One config that uses the keys is enough: a space may draw strengths though few trials have the policy custom.
        if not any(use.is_met(values) for values in runs):
            found = sorted({str(values[use.key]) for values in runs})
            raise ConfigError(
                f"{use.key} {use.rule} in some trials where {', '.join(keys)} are searched, but it is "
                f"{', '.join(found)}; {use.fix}"
            )
