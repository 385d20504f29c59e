"""A single training run, as a sweep of one trial that searches nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path

import optuna

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import RunConfig, read_yaml
from segray.folder import location_below
from segray.objective import MIOU, Objective
from segray.recipes import Recipe, find_recipe
from segray.records import Lineage, SweepInfo
from segray.shown import redacted
from segray.storage import open_sweep
from segray.tuning.callbacks import DEFAULT_CALLBACKS, Callback
from segray.tuning.recipe import naming_recipe
from segray.tuning.source import TrainedConfig, recorded_lineage, trained_config, trained_weights
from segray.tuning.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Start:
    """The config that a run starts from."""

    config: RunConfig
    stem: str
    """Beginning of the names of its runs; empty for the name of the run's data set"""
    recipe: Recipe | None = None
    lineage: tuple[Lineage, ...] = ()
    """The trained models that config and first weights come from"""
    objective: str | Objective = MIOU.name
    """The score that the best epoch is chosen by, unless another is given"""


def of_recipe(name: str) -> Start:
    """Return the start from a recipe.

    Raises:
        ConfigError: There is no recipe of that name.
    """
    recipe = find_recipe(name)
    return Start(config=recipe.config, stem=name, recipe=recipe)


def of_file(path: Path) -> Start:
    """Return the start from a YAML file.

    Raises:
        ConfigError: The file cannot be read, or holds an unknown key or value.
    """
    # The name of a sweep must not begin with a dot, but that of a file may.
    return Start(config=read_yaml(path), stem=path.stem.lstrip(".") or "run")


def of_defaults() -> Start:
    """Return the start from the default config, whose runs are named after their data set."""
    return Start(config=RunConfig(), stem="")


def of_trained(location: str, trial_id: str | None, begun: SweepInfo | None) -> Start:
    """Return the start from the full config of a trained model.

    Args:
        location: A run (its best trial), a trial, a checkpoint or a model folder.
        trial_id: A trial or repeat of the run, in place of the best one.
        begun: The record of the run if it goes on; it then has the config that it began with.

    Raises:
        StorageError: There is no model, no such trial, or its config cannot be used.
        ConfigError: A trial is named, but the location is no run.
    """
    lineage = recorded_lineage(begun, "config", location, trial_id)
    if begun and lineage:
        found = TrainedConfig(RunConfig().with_values(begun.base), lineage, begun.objective)
    else:
        found = trained_config(location, trial_id)
    lineage = found.lineage
    stem = f"{lineage.run}-{lineage.trial}" if lineage.run else "trained"
    return Start(config=found.config, stem=stem, lineage=(lineage,), objective=found.objective)


def with_weights(start: Start, location: str, begun: SweepInfo | None) -> Start:
    """Return a start that loads the weights of a whole trained model; see ``of_trained`` for the arguments.

    Raises:
        StorageError: There is no model.
        ConfigError: The location is a URL with a key.
    """
    lineage = recorded_lineage(begun, "weights", location)
    if begun and lineage:
        weights = begun.base.get("model.weights", "")
    else:
        weights, lineage = trained_weights(location)
    config = start.config.with_values({"model.weights": weights})
    return replace(start, config=config, lineage=(*start.lineage, lineage))


def with_all_data(start: Start) -> Start:
    """Return a start that trains on the validation images too, for all its epochs."""
    return replace(start, config=start.config.with_values({"data.all_data": True, "train.patience": None}))


def begun_run(storage: str, name: str) -> SweepInfo | None:
    """Return the record of a run that a resume continues; None if there is none.

    Raises:
        StorageError: The storage cannot be reached, or the record is damaged.
    """
    files = open_sweep(location_below(storage, name))
    return files.info() if files.exists() else None


def nothing(_trial: optuna.Trial) -> None:
    """Draw nothing: the space of a single run."""


def single_run(
    base: RunConfig,
    *,
    start: Start,
    name: str,
    storage: str,
    resources: Resources,
    limits: Limits,
    resume: bool,
    retry_failed: bool = False,
    objective: str | Objective = MIOU.name,
    callbacks: Sequence[str | Callback] = DEFAULT_CALLBACKS,
) -> Sweep:
    """Return the sweep whose only trial is a config; ``start`` says where it comes from."""
    return Sweep(
        name=name,
        base=base,
        recipe=start.recipe.name if start.recipe else "",
        lineage=start.lineage,
        space=nothing,
        trials=1,
        epochs=base.train.epochs,
        sampler="random",
        scheduler="none",
        objective=objective,
        resources=resources,
        limits=limits,
        storage=storage,
        resume=resume,
        retry_failed=retry_failed,
        callbacks=callbacks,
    )


def new_name(stem: str, storage: str) -> str:
    """Return a free folder name: ``kitti_fcn8s-20261125-154213``, then ``kitti_fcn8s-...-1`` and so on.

    Raises:
        StorageError: The storage cannot be reached.
    """
    first = f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    # Two runs may start in the same second.
    names = (f"{first}-{number}" if number else first for number in count())
    return next(name for name in names if not open_sweep(location_below(storage, name)).folder.exists())


def check_data(start: Start, asked: Sweep, announce: Callable[[str], None] = print) -> None:
    """Open a run's data before the run starts anything.

    Args:
        start: The config that the run starts from.
        asked: The run.
        announce: Called with each line: what the run goes on from, the recipe's data set if it is another, and where
            the run will lie.

    Raises:
        ConfigError: The data set's own options do not go together.
        DataError: The data cannot be read. The last line of both says what a recipe needs.
    """
    # It imports OpenCV and scikit-learn, which would delay the error on a wrong option.
    from segray.data.cache.fingerprint import listing
    from segray.data.datasets import dataset_kind
    from segray.data.preparation import with_absolute_paths

    recipe, data = start.recipe, asked.base.data
    dataset_kind(data.dataset)
    for lineage in start.lineage:
        announce(f"{lineage.gave}: {lineage.title}")
    if recipe and recipe.dataset != data.dataset:
        announce(f"recipe {recipe.name} is for {recipe.dataset}; this run is on {data.dataset}")
    with naming_recipe(recipe.name if recipe else "", data):
        listing(with_absolute_paths(data))
    location = location_below(asked.storage, asked.name)
    announce(
        f"run: {redacted(location)}; if it is cut, the same command with --name {asked.name} --resume continues it"
    )
