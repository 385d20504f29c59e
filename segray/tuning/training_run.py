"""One run as a sweep of one trial that searches nothing: the same worker groups, files and report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import optuna

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import RunConfig, read_yaml
from segray.folder import location_below
from segray.recipes import Recipe, find_recipe
from segray.shown import redacted
from segray.storage import open_sweep
from segray.tuning.callbacks import DEFAULT_CALLBACKS, Callback
from segray.tuning.recipe import naming_recipe
from segray.tuning.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run starts from."""

    config: RunConfig
    stem: str
    """What the names of its runs begin with"""
    recipe: Recipe | None = None


def of_recipe(name: str) -> Start:
    """A recipe.

    Raises:
        ConfigError: There is none of that name.
    """
    recipe = find_recipe(name)
    return Start(config=recipe.config, stem=name, recipe=recipe)


def of_file(path: Path) -> Start:
    """A YAML file.

    Raises:
        ConfigError: It cannot be read, or holds an unknown key or value.
    """
    return Start(config=read_yaml(path), stem=path.stem.lstrip(".") or "run")


def nothing(_trial: optuna.Trial) -> None:
    """The space that draws nothing."""


def single_run(
    base: RunConfig,
    *,
    recipe: Recipe | None,
    name: str,
    storage: str,
    resources: Resources,
    limits: Limits,
    resume: bool,
    retry_failed: bool = False,
    callbacks: Sequence[str | Callback] = DEFAULT_CALLBACKS,
) -> Sweep:
    """The sweep whose only trial is the config, which may be a recipe's."""
    return Sweep(
        name=name,
        base=base,
        recipe=recipe.name if recipe else "",
        space=nothing,
        trials=1,
        epochs=base.train.epochs,
        sampler="random",
        scheduler="none",
        resources=resources,
        limits=limits,
        storage=storage,
        resume=resume,
        retry_failed=retry_failed,
        callbacks=callbacks,
    )


def new_name(stem: str, storage: str) -> str:
    """A name for a folder that is not there yet: ``kitti_fcn8s-20261125-154213``, then ``kitti_fcn8s-...-1`` and so on.

    Raises:
        StorageError: The storage cannot be reached.
    """
    first = f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    names = (f"{first}-{number}" if number else first for number in count())
    return next(name for name in names if not open_sweep(location_below(storage, name)).folder.exists())


def check_data(start: Start, asked: Sweep, announce: Callable[[str], None] = print) -> None:
    """Open a run's data before anything is started for it.

    Args:
        start: What the run starts from.
        asked: What it came to.
        announce: Told in lines which data set the recipe is for, if that is another, and where the run will lie.

    Raises:
        ConfigError: The data set's own options do not go together.
        DataError: The data cannot be read. The last line of both says what a recipe needs.
    """
    # It brings OpenCV and scikit-learn, which a wrong option need not wait for.
    from segray.data.cache.fingerprint import listing
    from segray.data.datasets import dataset_kind
    from segray.data.preparation import with_absolute_paths

    recipe, data = start.recipe, asked.base.data
    dataset_kind(data.dataset)
    if recipe and recipe.dataset != data.dataset:
        announce(f"recipe {recipe.name} is for {recipe.dataset}; this run is on {data.dataset}")
    with naming_recipe(recipe.name if recipe else "", data):
        listing(with_absolute_paths(data))
    location = location_below(asked.storage, asked.name)
    announce(
        f"run: {redacted(location)}; if it is cut, the same command with --name {asked.name} --resume continues it"
    )
