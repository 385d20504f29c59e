"""The start of a single training run: a recipe, a file, the defaults, or a trained model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from segray.config import RunConfig, read_yaml
from segray.objective import MIOU, Objective
from segray.recipes import Recipe, find_recipe
from segray.records import Lineage, SweepInfo
from segray.tuning.source import TrainedConfig, recorded_lineage, trained_config, trained_weights


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
