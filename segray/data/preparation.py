"""A data set that is ready for training: divided into splits, its images decoded once per node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from segray.config import DataConfig
from segray.config.keys import values_deciding
from segray.config.mark import Decides
from segray.data.batches.augmentation import strengths
from segray.data.cache.access import open_or_build
from segray.data.cache.build import Progress
from segray.data.cache.fingerprint import listing
from segray.data.cache.shards import Shard
from segray.data.datasets.dataset import SPLITS
from segray.data.datasets.label_totals import total_problems
from segray.data.datasets.scoring import Scoring
from segray.data.splits.division import divide
from segray.errors import ConfigError, DataError, listed
from segray.files import expanded
from segray.labels import LabelSpace


@dataclass(frozen=True)
class PreparedData:
    """A data set that is ready for training."""

    label_space: LabelSpace
    train: Shard
    val: Shard
    test: Shard
    """Images that no trial is chosen by; may be empty"""
    scoring: Scoring
    """The way from a model's predictions to the classes that they are judged by"""
    built: bool = False
    """Whether this call decoded the images"""
    shortage: str = ""
    """Why the images are not stored, but decoded whenever they are used; empty if they are stored"""

    @property
    def scored_space(self) -> LabelSpace:
        """The classes that predictions are judged by."""
        return self.scoring.label_space

    @property
    def val_classes(self) -> tuple[str, ...]:
        """The classes of `scored_space` that the validation labels hold after `data.resize_px`."""
        names = self.scored_space.names
        return tuple(name for name, pixels in zip(names, self.val.judged_pixels, strict=True) if pixels)


def prepare(
    config: DataConfig, announce: Callable[[str], None] = print, progress: Progress | None = None
) -> PreparedData:
    """Open the data set's shard; build it first if this node has none, or a damaged one.

    If there is no room for decoded images, the shard holds none, and images are decoded whenever they are used. A
    process lists the files once for all splits, policies and crops; it does not notice later changes.

    Args:
        config: Data set, splits, sizes and policy; all of them are checked.
        announce: Told in lines what is built and where, its size, which entries were removed for it, and how far the
            build is.
        progress: Told how many images of how many are decoded; replaces the lines on how far the build is.

    Raises:
        ConfigError: A name is unknown or a size cannot work.
        DataError: Files are missing, cannot be read or do not decode; the error names all of them.
        ResourceError: The cache cannot be read or written.
    """
    check_values(config)
    dataset, name, _ = listing(config)
    splits = divide(dataset, config)
    shard, shortage, built = open_or_build(name, dataset, config, announce, progress)
    train, val, test = (shard.subset([pair.name for pair in splits[split]]) for split in SPLITS)
    learnt = {split: part.label_totals for split, part in (("train", train), ("val", val))}
    if problems := total_problems(dataset, shard.label_totals, learnt):
        raise DataError(f"{config.dataset} in {config.root!r} cannot be trained on:{listed(problems)}", problems)
    return PreparedData(dataset.label_space, train, val, test, dataset.scoring, built, shortage)


def check_values(config: DataConfig) -> None:
    """Check sizes and policy, without a look at any file.

    Raises:
        ConfigError: The policy is unknown or a size cannot work.
    """
    for key, size in (("data.crop_px", config.crop_px), ("data.resize_px", config.resize_px)):
        if size is not None and min(size) < 1:
            raise ConfigError(f"{key} must be (height, width), both at least 1, but got {list(size)}")
    strengths(config)


def with_absolute_paths(config: DataConfig) -> DataConfig:
    """Return the config with absolute paths, for processes that start in another folder or as another user."""
    places = values_deciding(config, Decides.PLACE).items()
    paths = {key.removeprefix("data."): path for key, path in places if path and isinstance(path, str)}
    return config.model_copy(update={name: str(expanded(path).absolute()) for name, path in paths.items()})
