"""Everything that can be wrong with a sweep, found before a trial starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna

from segray.config import DataConfig, ModelConfig, RunConfig
from segray.config.keys import SAME_IN_ALL_TRIALS, marks, values_deciding, without
from segray.config.mark import Decides, Use
from segray.data.batches.augmentation import strengths, training_size
from segray.data.datasets import WITHOUT_PALETTE, dataset_kind, open_dataset
from segray.data.preparation import PreparedData, check_values, prepare, with_absolute_paths
from segray.engine.adversary import check_adversary
from segray.engine.optim import check_l2, check_schedule
from segray.engine.trial import per_rank_batch_size
from segray.errors import ConfigError, listed, unknown_name
from segray.files import expanded
from segray.losses import build_loss, check_loss
from segray.models import (
    WITHOUT_ENCODER,
    check_model,
    check_output,
    check_train_shape,
    meta_model,
    resolve_encoder_weights,
)
from segray.tuning.points import Point, draw_point, first_of
from segray.tuning.preflight.samples import draw
from segray.tuning.recipe import naming_recipe, recipe_values
from segray.tuning.space import EPOCHS_KEY, CappedSpace, Distribution, Space, contains, describe, plain_point

T = TypeVar("T")


@dataclass(frozen=True)
class Checked:
    """A sweep's choices after all checks."""

    base: RunConfig
    space: Space
    """Capped to max_epochs"""
    distributions: Mapping[str, Distribution]
    first_trials: Sequence[Mapping[str, Any]]
    max_epochs: int
    data: PreparedData
    """Of the first trial"""
    data_configs: Sequence[DataConfig]
    """Those of the trials that were checked, each once"""
    weights_line: str
    """What model.encoder_weights came to"""


def check(
    base: RunConfig,
    space: Space,
    first_trials: Sequence[Mapping[str, Any]],
    *,
    max_epochs: int | None,
    num_workers: int,
    announce: Callable[[str], None],
    recipe: str = "",
    fixed: Sequence[str] = (),
) -> Checked:
    """Check keys, values, models, losses, data and sizes of a sweep, and resolve what a trial must not decide.

    What is checked are the first trials, random ones, and such as hold every choice and pair of model choices.

    Args:
        base: The run that every trial starts from.
        space: What is searched.
        first_trials: Values of the first trials, under the space's keys; they may leave keys out.
        max_epochs: No trial runs longer; None for the largest number of epochs in the space, or the base's.
        num_workers: Workers a trial, among which its batch is divided.
        announce: Told what the encoders start from, then what is decoded.
        recipe: Name of the recipe that the base is, which then is the very first trial; empty where it is none.
        fixed: Keys that the space must neither draw nor return.

    Raises:
        ConfigError: A key, value or combination cannot work, or the space does not hold the recipe.
        DataError: The data set cannot be read.
        ResourceError: The cache cannot be read or written.
    """
    base = _with_absolute_paths(base)
    distributions, draws = draw(space)
    _check_fixed(fixed, draws)
    if recipe:
        # With all its epochs; the cap comes below.
        recipe_values(space, base)
    longest = max(base.with_values(draw).train.epochs for draw in draws)
    max_epochs = max_epochs or max(longest, _longest(distributions.get(EPOCHS_KEY)))
    epochs_vary = any(EPOCHS_KEY in draw for draw in draws)
    base = base.with_values({EPOCHS_KEY: min(base.train.epochs, max_epochs) if epochs_vary else max_epochs})
    capped = CappedSpace(space, max_epochs)
    distributions, draws = draw(capped)
    first_trials = [_check_first_trial(point, distributions, max_epochs) for point in first_trials]
    for point in first_trials:
        draw_point(capped, Point(point, lambda _, distribution: first_of(distribution)))
    if recipe:
        first_trials.insert(0, recipe_values(capped, base))

    configs = [base.with_values(values) for values in (*first_trials, *draws)]
    _check_same_data(base, configs)
    # Before the encoders' weights are fetched, which takes longer.
    with naming_recipe(recipe, base.data):
        for note in open_dataset(base.data).notes_in_short():
            announce(f"note: {note}")
    for loss in _distinct(config.loss for config in configs):
        check_loss(loss)
    _check_used(configs, distributions)
    models = _distinct(config.model for config in configs)
    for model in models:
        check_model(model)
    _check_l2(configs)
    weights, weights_line = _resolve_weights(models)
    announce(weights_line)
    base = base.with_values({"model.encoder_weights": weights})
    data = _prepared(_distinct(config.data for config in configs), announce)
    _check_same_classes(data.values())
    for config in configs:
        _check_training(config, data[config.data], num_workers)
    _check_networks(configs, data, num_workers)
    return Checked(
        base, capped, distributions, first_trials, max_epochs, data[configs[0].data], tuple(data), weights_line
    )


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


def _check_fixed(fixed: Sequence[str], draws: Sequence[Mapping[str, Any]]) -> None:
    searched = [key for key in fixed if any(key in values for values in draws)]
    if searched:
        raise ConfigError(
            f"--set must leave alone what the study searches, but names {', '.join(searched)}; leave it out, or change "
            "the space in a copy of the study"
        )


def _longest(distribution: Distribution | None) -> int:
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return distribution.high
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return max(int(float(str(choice))) for choice in distribution.choices)
    return 0


def _check_first_trial(
    point: Mapping[str, Any], distributions: Mapping[str, Distribution], max_epochs: int
) -> dict[str, Any]:
    checked = plain_point(point)
    if isinstance(checked.get(EPOCHS_KEY), int | float):
        checked[EPOCHS_KEY] = min(checked[EPOCHS_KEY], max_epochs)
    for key, value in checked.items():
        if key not in distributions:
            raise ConfigError(f"first trial: {unknown_name('searched key', key, distributions)}")
        if not contains(distributions[key], value):
            raise ConfigError(f"first trial: {key} must be {describe(distributions[key])}, but got {value!r}")
    return checked


def _check_same_data(base: RunConfig, configs: Sequence[RunConfig]) -> None:
    """Refuse a space in which trials would be trained or judged on other images, or told other classes apart."""
    datas = _distinct(config.data for config in (base, *configs))
    expected, *others = (values_deciding(data, *SAME_IN_ALL_TRIALS) for data in datas)
    varied = [key for key, value in expected.items() if any(other[key] != value for other in others)]
    if varied:
        raise ConfigError(
            f"{', '.join(varied)} must be the same in all trials, which cannot be compared when they are trained or "
            "judged on other images, sizes or classes; set it in the study's base config, and run a sweep for each "
            "value"
        )


def _prepared(configs: Sequence[DataConfig], announce: Callable[[str], None]) -> dict[DataConfig, PreparedData]:
    """The data of each config, prepared once for all that only differ in how training draws from it."""
    for config in configs:
        check_values(config)
    images = {config: without(config, Decides.SAMPLING, Decides.LOADING) for config in configs}
    prepared = {config: prepare(config, announce) for config in _distinct(images.values())}
    return {config: prepared[images[config]] for config in configs}


def _check_same_classes(prepared: Iterable[PreparedData]) -> None:
    spaces = _distinct(data.scored_space.names for data in prepared)
    if len(spaces) > 1:
        raise ConfigError(
            "all trials must be judged by the same classes, or they cannot be compared, but the space holds trials "
            f"with{listed([', '.join(names) for names in spaces])}"
        )


def _check_training(config: RunConfig, data: PreparedData, num_workers: int) -> None:
    build_loss(config.loss, data.train.class_pixels)
    check_schedule(config.optim, config.train.epochs)
    per_rank_batch_size(config, num_workers)
    if config.train.batch_size > len(data.train):
        raise ConfigError(
            f"train.batch_size must be at most the {len(data.train)} training images, but got {config.train.batch_size}"
        )
    largest_px = data.train.sizes.max(axis=0).tolist()
    if config.data.crop_px and any(crop > 2 * side for crop, side in zip(config.data.crop_px, largest_px, strict=True)):
        raise ConfigError(
            f"data.crop_px must be at most twice the largest training image, {largest_px} as (height, width), or most "
            f"of it is padding, but got {list(config.data.crop_px)}"
        )


def _check_l2(configs: Sequence[RunConfig]) -> None:
    penalised = {(c.model, c.optim.name, c.optim.l2_layers): c for c in configs if c.optim.l2 > 0}
    for config in penalised.values():
        check_l2(meta_model(config.model), config.optim)


def _check_used(configs: Sequence[RunConfig], distributions: Mapping[str, Distribution]) -> None:
    """Refuse a search of keys that mean nothing in any trial."""
    searched: dict[Use, list[str]] = {}
    for key in distributions:
        for use in marks()[key].uses:
            searched.setdefault(use, []).append(key)
    for use, keys in searched.items():
        if not any(use.is_met(config) for config in configs):
            values = sorted({str(config.flat()[use.key]) for config in configs})
            raise ConfigError(
                f"{use.key} {use.rule} in some trials where {', '.join(keys)} are searched, but it is "
                f"{', '.join(values)}; {use.fix}"
            )


def _check_networks(configs: Sequence[RunConfig], data: Mapping[DataConfig, PreparedData], num_workers: int) -> None:
    """Check that the networks take the training images, and that their outputs tell the classes apart."""
    sizes_px = {config: training_size(data[config.data].train, config.data.crop_px) for config in configs}
    batch_sizes = {config: per_rank_batch_size(config, num_workers) for config in configs}
    # What goes through with two images goes through with more.
    shapes = {(config.model, batch_sizes[config] > 1, sizes_px[config]): batch_sizes[config] for config in configs}
    for (model, _, size_px), batch_size in shapes.items():
        check_train_shape(model, batch_size=batch_size, size_px=size_px)
    for gan, epochs, size_px in _distinct((config.gan, config.train.epochs, sizes_px[config]) for config in configs):
        check_adversary(gan, epochs, size_px)
    for config in configs:
        has_palette = config.data.dataset not in WITHOUT_PALETTE
        check_output(config.model, data[config.data].label_space, has_palette=has_palette)


def _resolve_weights(models: Sequence[ModelConfig]) -> tuple[str, str]:
    """One answer for the whole sweep: trials with and without pretrained weights cannot be compared.

    Families without a pretrained encoder have no say, unless there are no others.
    """
    asked = [model for model in models if model.name not in WITHOUT_ENCODER] or models
    resolved = {model.encoder: resolve_encoder_weights(model) for model in asked}
    value, line = resolved[asked[0].encoder]
    for encoder, (other, other_line) in resolved.items():
        if other == "none" and value != "none":
            return "none", f"all encoders start from scratch, because {encoder} does: {other_line}"
    return value, line


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    config = config.model_copy(update={"data": with_absolute_paths(config.data)})
    weights = config.model.encoder_weights
    if weights in ("none", "imagenet", "auto"):
        return config
    return config.with_values({"model.encoder_weights": str(expanded(weights).absolute())})


def _distinct(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
