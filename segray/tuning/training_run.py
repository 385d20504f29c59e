"""A single training run, as a sweep of one trial that searches nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count

import optuna

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import RunConfig
from segray.folder import location_below
from segray.objective import MIOU, Objective
from segray.records import SweepInfo
from segray.shown import redacted
from segray.storage import open_sweep
from segray.tuning.callbacks import DEFAULT_CALLBACKS, Callback
from segray.tuning.recipe import naming_recipe
from segray.tuning.sweep import Sweep
from segray.tuning.train_start import Start


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
        objectives=(objective,),
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
