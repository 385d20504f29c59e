"""``segray train``: train one recipe or config file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.errors import ConfigError
from segray.objective import MIOU, Objective
from segray.tuning import options
from segray.tuning.callbacks import DEFAULT_CALLBACKS, Callback, add_callbacks

if TYPE_CHECKING:
    from segray.tuning.training_run import Start

_OWN_OPTIONS = {"data.root": "--data", "model.encoder_weights": "--encoder-weights"}


@dataclass(frozen=True)
class Run:
    """Where a run lies, whether it continues, and what hears of it."""

    storage: Annotated[str, options.STORAGE] = "runs"
    resume: Annotated[bool, options.RESUME] = False
    retry_failed: Annotated[bool, options.RETRY_FAILED] = False
    objective: Annotated[str | Objective, options.OBJECTIVE] = MIOU.name
    callbacks: Annotated[Sequence[str | Callback], options.CALLBACK] = DEFAULT_CALLBACKS


def train(
    context: typer.Context,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Recipe from `segray recipes`")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Instead of a recipe: config file as `segray config` prints it")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Folder of the data set; a config file may name it instead")] = None,
    values: options.Set = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the run's folder (default: name of the recipe, file or data set, with the time)"),
    ] = None,
    encoder_weights: options.EncoderWeights = None,
    **given: Any,
) -> None:
    """Train one model, with the files and the report of a sweep; the run can be resumed like a sweep.

    The exit code is 0 with a model, 1 without one, 2 if something cannot work, 3 if the Ray cluster failed, and 130
    after Ctrl-C or SIGTERM.
    """
    from segray.tuning.command import default_storage, is_given, run_and_exit
    from segray.tuning.training_run import check_data, new_name, single_run

    start = _start(recipe, config, has_values=bool(values))
    given["callbacks"] = add_callbacks(DEFAULT_CALLBACKS, given["callbacks"])
    run = options.with_options(Run(), given)
    if run.resume and name is None:
        raise ConfigError("--resume needs --name, the folder of the run to continue")
    own = {"data.root": data, "model.encoder_weights": encoder_weights}
    set_values = options.parse_values(values, start.config.flat(), _OWN_OPTIONS)
    base = start.config.with_values(set_values | {key: value for key, value in own.items() if value is not None})
    storage = run.storage if is_given(context, "storage") else default_storage()
    asked = single_run(
        base,
        recipe=start.recipe,
        name=name or new_name(start.stem or base.data.dataset, storage),
        storage=storage,
        resources=options.with_options(Resources(), given),
        limits=options.with_options(Limits(), given),
        resume=run.resume,
        retry_failed=run.retry_failed,
        objective=run.objective,
        callbacks=run.callbacks,
    )
    run_and_exit(asked, before=lambda: check_data(start, asked))


options.add_options(train, Run(), Resources(), Limits())


def _start(recipe: str | None, path: Path | None, *, has_values: bool) -> Start:
    from segray.tuning.training_run import of_defaults, of_file, of_recipe

    if recipe is not None and path is not None:
        raise ConfigError("segray train takes one of --recipe and --config, but got both; leave one out")
    if recipe is not None:
        return of_recipe(recipe)
    if path is not None:
        return of_file(path)
    if has_values:
        return of_defaults()
    raise ConfigError(
        "segray train needs --recipe, --config, or --set to change the defaults of `segray config`, but got none of "
        "them; `segray recipes` lists recipes"
    )
