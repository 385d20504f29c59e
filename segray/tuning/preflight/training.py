"""Checks that need the data: whether each trial can train and be judged on its images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from segray.config import DataConfig, RunConfig
from segray.config.keys import without
from segray.config.mark import Decides
from segray.data.batches.augmentation import training_size
from segray.data.datasets import WITHOUT_PALETTE
from segray.data.preparation import PreparedData, check_values, prepare
from segray.engine.adversary import check_adversary
from segray.engine.batch_size import per_rank_batch_size
from segray.engine.optim import check_schedule
from segray.engine.start_weights import fitting_weights, other_classes
from segray.errors import ConfigError, listed
from segray.losses import build_loss
from segray.models import check_output, check_train_shape, meta_model
from segray.tuning.preflight.parts import distinct


def prepare_data(configs: Sequence[RunConfig], announce: Callable[[str], None]) -> dict[DataConfig, PreparedData]:
    """Decode the data of each config, once for all configs that only differ in how training draws from the images.

    Raises:
        ConfigError: A value breaks its rule, or trials would be judged by different classes.
        DataError: The data set cannot be read.
        ResourceError: The cache cannot be read or written.
    """
    datas = distinct(config.data for config in configs)
    # All values before any decoding, which may take minutes.
    for data in datas:
        check_values(data)
    # Trials that only crop or augment differently share one decoded copy.
    images = {data: without(data, Decides.SAMPLING, Decides.LOADING) for data in datas}
    prepared = {data: prepare(data, announce) for data in distinct(images.values())}
    _check_same_classes(prepared.values())
    return {data: prepared[images[data]] for data in datas}


def check_training(configs: Sequence[RunConfig], data: Mapping[DataConfig, PreparedData], num_workers: int) -> None:
    """Check batches, crops, losses and networks against the training images.

    Raises:
        ConfigError: A value or combination cannot work with these images.
    """
    for config in configs:
        _check_batches(config, data[config.data], num_workers)
    _check_networks(configs, data, num_workers)


def check_start_weights(
    configs: Sequence[RunConfig], data: Mapping[DataConfig, PreparedData], announce: Callable[[str], None]
) -> None:
    """Check that the trained models that runs start from fit their networks, and announce which layers do.

    Raises:
        StorageError: There is no such model, or it is damaged.
        ConfigError: No layer fits.
    """
    starts = {config.model: data[config.data].label_space for config in configs if config.model.weights}
    for model, label_space in starts.items():
        fitting = fitting_weights(model.weights, meta_model(model, label_space.num_classes).state_dict())
        announce(f"weights: {fitting.line}")
        if note := other_classes(model.weights, label_space):
            announce(note)


def _check_same_classes(prepared: Iterable[PreparedData]) -> None:
    spaces = distinct(data.scored_space.names for data in prepared)
    if len(spaces) > 1:
        raise ConfigError(
            "all trials must be judged by the same classes, or they cannot be compared, but the space holds trials "
            f"with{listed([', '.join(names) for names in spaces])}"
        )


def _check_batches(config: RunConfig, data: PreparedData, num_workers: int) -> None:
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


def _check_networks(configs: Sequence[RunConfig], data: Mapping[DataConfig, PreparedData], num_workers: int) -> None:
    """Check that the networks take the training images, and that their outputs tell the classes apart."""
    sizes_px = {config: training_size(data[config.data].train, config.data.crop_px) for config in configs}
    batch_sizes = {config: per_rank_batch_size(config, num_workers) for config in configs}
    # A network that takes a batch of two images takes larger ones.
    shapes = {(config.model, batch_sizes[config] > 1, sizes_px[config]): batch_sizes[config] for config in configs}
    for (model, _, size_px), batch_size in shapes.items():
        check_train_shape(model, batch_size=batch_size, size_px=size_px)
    # Not once a config: a study that searches learning rates once built a discriminator for each of them.
    for gan, epochs, size_px in distinct((config.gan, config.train.epochs, sizes_px[config]) for config in configs):
        check_adversary(gan, epochs, size_px)
    for config in configs:
        has_palette = config.data.dataset not in WITHOUT_PALETTE
        check_output(config.model, data[config.data].label_space, has_palette=has_palette)
