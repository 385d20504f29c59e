"""The command line of every file in sweeps/: a sweep's budget, place and resources as options."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from segray.errors import ConfigError, StorageError
from segray.folder import location_below
from segray.output import call_or_exit, lasting_output
from segray.process import end_process
from segray.shown import printable, redacted
from segray.storage import SweepFiles
from segray.trial_files import TrialFiles
from segray.tuning import options
from segray.tuning.callbacks import add_callbacks
from segray.tuning.run.start import judge_sweep, run_sweep
from segray.tuning.sweep import DEFAULT_STORAGE, Sweep

JOB_STORAGE = "~/segray/runs"
"""Storage of a `ray job submit` without --storage; the job's own folder is an upload that the cluster deletes."""

_OWN_OPTIONS = {"data.root": "--data", "model.encoder_weights": "--encoder-weights", "train.epochs": "--epochs"}

TAKEN_BY: ContextVar[Callable[[Sweep, Callable[[], object] | None], object] | None] = ContextVar("taken", default=None)
"""Gets the sweep of ``main``, and what makes its data, in place of a run; None runs it"""

INTERRUPTED = 130
"""Exit code after Ctrl-C, by the convention of shells."""


def main(sweep: Sweep, *, make_data: Callable[[], object] | None = None) -> None:
    """Parse the command line, then ``run_and_exit``; the exit code is 2 if something cannot work.

    Args:
        sweep: The sweep that a file in sweeps/ defines; its values are the options' defaults.
        make_data: Called before a sweep without --data starts, to make the data that the base config names if it is
            missing; None if --data must be given.
    """
    default_data = sweep.base.data.root if make_data else ...

    def command(
        context: typer.Context,
        data: Annotated[str, typer.Option(help="Folder of the data set")] = default_data,  # type: ignore[assignment]
        encoder_weights: options.EncoderWeights = None,
        values: options.Set = None,
        **given: Any,
    ) -> None:
        fixed = options.parse_values(values, sweep.base.flat(), _OWN_OPTIONS)
        own: dict[str, object] = {"data.root": data}
        if encoder_weights is not None:
            own["model.encoder_weights"] = encoder_weights
        if is_given(context, "minutes") and not is_given(context, "trials"):
            # The study's own number of trials would end the search before its time is spent.
            given["trials"] = None
        if not is_given(context, "storage") and sweep.storage == DEFAULT_STORAGE:
            given["storage"] = default_storage()
        given["callbacks"] = add_callbacks(sweep.callbacks, given["callbacks"])
        given["prior"] = {**sweep.prior, **_pairs("--prior", given["prior"], "optim.lr=0.001")}
        for name in ("objectives", "constraints", "warm_start"):
            given[name] = given[name] or getattr(sweep, name)
        asked = replace(
            options.with_options(sweep, given | _sampler(sweep, **given)),
            base=sweep.base.with_values(fixed | own),
            fixed=tuple(fixed),
        )
        before = make_data if data == default_data else None
        if (take := TAKEN_BY.get()) is not None:
            take(asked, before)
        else:
            run_and_exit(asked, before=before)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.__doc__ = sys.modules["__main__"].__doc__
    app.command()(options.add_options(command, sweep))
    call_or_exit(app, drops_all=True)


def run_and_exit(asked: Sweep, *, before: Callable[[], object] | None = None) -> NoReturn:
    """Run a sweep, write its report, judge its best trial on the test images, and end the process.

    The exit code is 0; 1 if no trial has a model, because none completed an epoch or all failed; and 130 after Ctrl-C
    or SIGTERM before the sweep's end. A failure to judge test images does not change it.

    Args:
        asked: The sweep to run.
        before: Called first; None for nothing.

    Raises:
        SegrayError: Something cannot work, or the cluster failed; the error holds the command's exit code.
    """
    with lasting_output(drops_all=True), _signals():
        try:
            if before:
                before()
            code = _conclude(asked, run_sweep(asked))
        # Ctrl-C while data is made, and a second one that ends a sweep at once.
        except KeyboardInterrupt:
            code = INTERRUPTED
        # Python would take 2 s to free its objects.
        end_process(code)


def _sampler(sweep: Sweep, *, sampler: str | None, sampler_options: list[str] | None, **_: object) -> dict[str, object]:
    """Return sampler and options as given; another sampler than the study's starts without the study's options."""
    pairs = _pairs("--sampler-option", sampler_options, "n_startup_trials=5")
    is_other = sampler is not None and sampler != sweep.sampler
    return {
        "sampler": sweep.sampler if sampler is None else sampler,
        "sampler_options": pairs if pairs or is_other else sweep.sampler_options,
    }


def _pairs(option: str, texts: list[str] | None, example: str) -> dict[str, object]:
    """Return the NAME=VALUE texts of an option by name."""
    pairs = [options.key_and_value(option, text, example) for text in texts or ()]
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ConfigError(f"{option} must give {twice[0]} once, but gives it twice; leave one out")
    return dict(pairs)


@contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM act like Ctrl-C, and ignore SIGHUP, so that a closed terminal ends nothing."""
    # docker stop, Slurm and ray job stop send SIGTERM.
    wanted: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
        signal.SIGTERM: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_IGN,
    }
    earlier = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def is_given(context: typer.Context, option: str) -> bool:
    """Return whether an option was typed on the command line."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def default_storage() -> str:
    """Return `runs` in the current folder; under `ray job submit`, a fixed folder outside the upload."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:
        return "runs"
    storage = str(Path(JOB_STORAGE).expanduser())
    print(f"no --storage given: this job writes to {storage} on the cluster's head node", flush=True)
    return storage


def _print_next_steps(trial: TrialFiles, location: str, *, has_test_images: bool, trains_on_val: bool) -> None:
    from segray.results.next_steps import model_folder, next_commands

    print(printable(f"model:  {model_folder(location, trial)}"))
    commands = next_commands(location, has_test_images=has_test_images, trains_on_val=trains_on_val)
    width = max(len(what) for what, _ in commands)
    for what, command in commands:
        print(printable(f"  {what:<{width}}  {command}"))


def _conclude(asked: Sweep, files: SweepFiles) -> int:
    """Print the best score, the report's place, the test score and what is left to do; return the exit code.

    Judging test images may take long, so the report is written before, and again after with their score.
    """
    # Both import pandas, which would delay the start of a sweep.
    from dashboards.report import write_report
    from segray.results import load
    from segray.results.notes import CAUTIONS, notes

    location = location_below(asked.storage, asked.name)
    try:
        trial, pointer = files.best()
        info = files.info()
        objective = info.objective
        what = objective.best_label(trains_on_val=info.trains_on_val)
        print(printable(f"{what}: {objective.shown(pointer.record.best_score)} (trial {trial.id})"))
        code = 0
    except StorageError as error:
        print(printable(error))
        code = 1
    quoted = shlex.quote(redacted(location))
    print(f"table:  segray results {quoted}")
    if files.folder.is_local:
        write_report(files.folder.path, f"{files.folder.path}/report.html", location=location)
        print(f"report: {location}/report.html")
    else:
        print(f"report: segray report {quoted} -o report.html", flush=True)
    if judge_sweep(asked, files) and files.folder.is_local:
        write_report(files.folder.path, f"{files.folder.path}/report.html", location=location)
    results = load(location)
    for note in notes(results, ("all_data", "classes", "repeats", *CAUTIONS, "race", "test", "unfinished")):
        print(printable(note.text))
    if code == 0:
        trial, _ = files.best()
        _print_next_steps(
            trial,
            location,
            has_test_images=results.num_test_images > 0,
            trains_on_val=results.info.trains_on_val,
        )
    return INTERRUPTED if results.state == "interrupted" else code
