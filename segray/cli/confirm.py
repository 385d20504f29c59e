"""``segray confirm``: race the best trials of a sweep that has ended over further seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.tuning import options
from segray.tuning.callbacks import DEFAULT_CALLBACKS, Callback, add_callbacks


@dataclass(frozen=True)
class Trackers:
    """The trackers that hear of the repeats."""

    callbacks: Annotated[Sequence[str | Callback], options.CALLBACK] = DEFAULT_CALLBACKS


def confirm(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder or URL of a sweep, such as runs/camvid")],
    top: Annotated[int, typer.Option(metavar="K", help="Number of best trials that race the first one")] = 3,
    seeds: Annotated[int, typer.Option(metavar="N", help="Most further seeds of each, with those it has had")] = 5,
    data: Annotated[str | None, typer.Option(help="Folder of the data set, if it has moved")] = None,
    **given: Any,
) -> None:
    """Race the best trials of a sweep and its first one over further seeds, until one is clearly the best.

    What --confirm and --repeats do at the end of a sweep, later. Ctrl-C ends it, and the same command goes on. The exit
    code is that of a sweep.
    """
    from segray.tuning.command import run_and_exit
    from segray.tuning.race_start import race_of

    asked = race_of(
        run,
        top=top,
        seeds=seeds,
        data=data,
        resources=options.with_options(Resources(), given),
        limits=options.with_options(Limits(), given),
        callbacks=add_callbacks(DEFAULT_CALLBACKS, given["callbacks"]),
    )
    run_and_exit(asked)


options.add_options(confirm, Trackers(), Resources(), Limits())
