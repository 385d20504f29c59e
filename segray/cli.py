"""The command line: parse, call, print. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from segray.errors import SegrayError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def segray() -> None:
    """Sweeps for street-scene segmentation: results, reports and predictions of what `sweeps/*.py` ran."""


@app.command()
def config(
    path: Annotated[Path | None, typer.Argument(help="A YAML config to complete; none prints the default")] = None,
) -> None:
    """Print a full run config as YAML, with a line of help per field."""
    from segray.config import RunConfig, read_yaml, to_yaml

    print(to_yaml(read_yaml(path) if path else RunConfig()), end="")


def run_command(command: Callable[[], object]) -> None:
    """Call a command; a SegrayError becomes one message on standard error and exit code 2."""
    try:
        command()
    except SegrayError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """Entry point of the ``segray`` command."""
    run_command(app)
