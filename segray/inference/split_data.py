"""The data of the split that a checkpoint is evaluated on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from segray.config import RunConfig
from segray.data.preparation import PreparedData, prepare, with_absolute_paths
from segray.data.splits.split_record import check_splits
from segray.errors import ConfigError, DataError
from segray.labels import LabelSpace
from segray.storage import SweepFiles, TrialFiles


def with_data_at(config: RunConfig, root: str, cache_dir: str | None) -> RunConfig:
    """Return the config with its data set, and its cache of decoded images, in other folders of this machine."""
    here = config.data.model_copy(update={"root": root, "cache_dir": cache_dir})
    return config.model_copy(update={"data": with_absolute_paths(here)})


def check_classes(expected: LabelSpace, found: LabelSpace, trial: TrialFiles) -> None:
    """Check that the data set has the classes that a trial's model was trained on.

    Raises:
        ConfigError: The classes differ.
    """
    if found != expected:
        raise ConfigError(
            f"the data set must have the classes of trial {trial.id}'s model, {', '.join(expected.names)}, but has "
            f"{', '.join(found.names)}; evaluate with the versions of segray and scikit-learn in sweep.json"
        )


def prepare_split(files: SweepFiles, config: RunConfig, split: str, announce: Callable[[str], None]) -> PreparedData:
    """Prepare a trial's data, with the split to evaluate as ``val``.

    Raises:
        DataError: The data set cannot be read, is not the sweep's, or has no labelled image in the split.
    """
    splits = files.splits()
    if splits is not None:
        check_splits(splits, config.data)
    data = prepare(config.data, announce)
    if split == "test":
        data = replace(data, val=data.test)
    if not len(data.val):
        raise DataError(
            f"this sweep has no test images: {config.data.dataset} must come with labelled ones, or data.split.sizes "
            "or data.holdout must keep some when a sweep starts; use --split val to repeat the validation"
        )
    if not data.val.judged_pixels.any():
        raise DataError(
            f"the {split} labels of {config.data.dataset} must have a pixel of a class, but those of all "
            f"{len(data.val)} images are void; check the label files"
        )
    return data
