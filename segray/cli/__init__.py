"""The command line: parse, call, print. Each command imports the heavy modules that it needs."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated, Final

import typer

from segray.cli import data, recipes, weights
from segray.cli.confirm import confirm
from segray.cli.control import COMMANDS
from segray.cli.preflight import STUDY_OPTIONS, preflight
from segray.cli.train import train
from segray.cli.use import USE
from segray.output import call_or_exit

GC_THRESHOLDS: Final = (200_000, 50, 100)
"""Thresholds of Python's garbage collector. Torch and the models' libraries make a million objects that stay; with
Python's own thresholds, looking through them again and again takes a quarter of a command's start."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(data.app, name="data")
app.add_typer(recipes.app, name="recipes")
app.add_typer(weights.app, name="weights")


@app.callback()
def segray() -> None:
    """Street-scene segmentation: check data, train, look at the results of sweeps, and use their models."""


@app.command()
def config(
    path: Annotated[
        Path | None, typer.Argument(help="YAML config to complete and check (default: print the default config)")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="RUN", help="Print the full config of a run's best trial instead")
    ] = None,
    trial: Annotated[str | None, typer.Option(metavar="ID", help="With --from: a trial or repeat of the run")] = None,
) -> None:
    """Print a full run config as YAML, with a line of help per field."""
    from segray.config import RunConfig, read_yaml, to_yaml
    from segray.errors import ConfigError

    if source and path:
        raise ConfigError(f"segray config prints one config: give --from or a file, but got {source!r} and '{path}'")
    if trial and not source:
        raise ConfigError(f"--trial chooses a trial of the run in --from, but there is no --from; got {trial!r}")
    full = RunConfig()
    if source:
        from segray.tuning.source import trained_config

        full = trained_config(source, trial).config
    if path:
        from segray.tuning.preflight import check_choices

        full = read_yaml(path)
        check_choices(full)
    print(to_yaml(full), end="")


app.command(context_settings=STUDY_OPTIONS)(preflight)
app.command()(train)
app.command()(confirm)


@app.command()
def results(
    run: Annotated[str, typer.Argument(help="Folder or URL of a sweep, such as runs/camvid")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header")] = False,
) -> None:
    """Print the trials of a finished, running or dead sweep, best first."""
    from segray.cli.results_table import print_results

    print_results(run, as_json=as_json, as_csv=as_csv)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="Folder or URL of a sweep, such as runs/camvid")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write")] = Path("report.html"),
) -> None:
    """Write the report of a sweep as a single offline HTML file."""
    from dashboards.report import write_report

    size_bytes = write_report(run, output)
    print(f"wrote {output} ({size_bytes / 1e6:.1f} MB)")


for name, request in COMMANDS:
    app.command(name)(request)

for command in USE:
    app.command()(command)


def main() -> None:
    """Entry point of the ``segray`` command."""
    gc.set_threshold(*GC_THRESHOLDS)
    call_or_exit(app)
