"""``segray train``: train one recipe or config file, or the config of a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    from segray.config import RunConfig
    from segray.records import SweepInfo
    from segray.tuning.train_start import Start

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
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="Instead of a recipe: the full config of a run's best trial"),
    ] = None,
    trial: Annotated[str | None, typer.Option(metavar="ID", help="With --from: a trial or repeat of the run")] = None,
    data: Annotated[str | None, typer.Option(help="Folder of the data set; a config file may name it instead")] = None,
    values: options.Set = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the run's folder (default: name of the recipe, file or data set, with the time)"),
    ] = None,
    encoder_weights: options.EncoderWeights = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images: train.epochs")] = None,
    all_data: Annotated[
        bool, typer.Option("--all-data", help="Train on the validation images too; the last weights are kept")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Start from a run's, trial's, checkpoint's or exported model's weights"),
    ] = None,
    **given: Any,
) -> None:
    """Train one model, with the files and the report of a sweep; the run can be resumed like a sweep.

    The exit code is 0 with a model, 1 without one, 2 if something cannot work, 3 if the Ray cluster failed, and 130
    after Ctrl-C or SIGTERM.
    """
    from segray.tuning.command import default_storage, is_given, run_and_exit
    from segray.tuning.train_start import with_all_data, with_weights
    from segray.tuning.training_run import begun_run, check_data, new_name, single_run

    given["callbacks"] = add_callbacks(DEFAULT_CALLBACKS, given["callbacks"])
    run = options.with_options(Run(), given)
    if run.resume and name is None:
        raise ConfigError("--resume needs --name, the folder of the run to continue")
    storage = run.storage if is_given(context, "storage") else default_storage()
    begun = begun_run(storage, name) if run.resume and name else None
    start = _start(recipe, config, source, trial, begun, has_values=bool(values))
    if weights is not None:
        start = with_weights(start, weights, begun)
    if all_data:
        start = with_all_data(start)
    own = {"data.root": data, "model.encoder_weights": encoder_weights, "train.epochs": epochs}
    base = start.config.with_values(_values(values, start.config, own, weights=weights, all_data=all_data))
    asked = single_run(
        base,
        start=start,
        name=name or new_name(start.stem or base.data.dataset, storage),
        storage=storage,
        resources=options.with_options(Resources(), given),
        limits=options.with_options(Limits(), given),
        resume=run.resume,
        retry_failed=run.retry_failed,
        objective=run.objective if is_given(context, "objective") else start.objective,
        callbacks=run.callbacks,
    )
    run_and_exit(asked, before=lambda: check_data(start, asked))


options.add_options(train, Run(), Resources(), Limits())


def _values(
    texts: list[str] | None, config: RunConfig, own: Mapping[str, object], *, weights: str | None, all_data: bool
) -> dict[str, object]:
    """Return the values of --set and of the options that give a key, by dotted key."""
    given = {key: value for key, value in own.items() if value is not None}
    # --set may give the epochs too, as it did before there was --epochs; not both.
    taken = _OWN_OPTIONS | ({"train.epochs": "--epochs"} if "train.epochs" in given else {})
    taken |= {"model.weights": "--weights"} if weights is not None else {}
    taken |= {"data.all_data": "--all-data", "train.patience": "--all-data"} if all_data else {}
    return options.parse_values(texts, config.flat(), taken) | given


def _start(
    recipe: str | None,
    path: Path | None,
    source: str | None,
    trial: str | None,
    begun: SweepInfo | None,
    *,
    has_values: bool,
) -> Start:
    from segray.tuning.train_start import of_defaults, of_file, of_recipe, of_trained

    sources = {"--recipe": recipe, "--config": path, "--from": source}
    given = [option for option, value in sources.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"segray train takes one of {', '.join(sources)}, but got {' and '.join(given)}; keep one")
    if trial is not None and source is None:
        raise ConfigError(f"--trial chooses a trial of the run in --from, but there is no --from; got {trial!r}")
    if source is not None:
        return of_trained(source, trial, begun)
    if recipe is not None:
        return of_recipe(recipe)
    if path is not None:
        return of_file(path)
    if has_values:
        return of_defaults()
    raise ConfigError(
        "segray train needs --recipe, --config, --from, or --set to change the defaults of `segray config`, but got "
        "none of them; `segray recipes` lists recipes"
    )
