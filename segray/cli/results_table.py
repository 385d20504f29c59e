"""The output of ``segray results``: a table for a person, JSON or CSV for a program."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from segray import text
from segray.errors import ConfigError
from segray.objective import Objective
from segray.results import SweepResults, load
from segray.results.notes import CAUTIONS, NoteKind, notes
from segray.results.searched import Row
from segray.results.sweep import ExtraScore
from segray.shown import cell, printable

NOTES_BELOW_TABLE: Final[Sequence[NoteKind]] = (
    *("lineage", "all_data", "classes", "pareto", "repeats", *CAUTIONS, "race"),
    *("recipe", "test", "unfinished", "clusters", "failure"),
)
"""The kinds of notes below the table, in the order in which they are printed."""


def print_results(path: str | Path, *, as_json: bool = False, as_csv: bool = False) -> None:
    """Print a sweep's trials to standard output.

    Args:
        path: The sweep's folder or URL.
        as_json: Print one JSON object.
        as_csv: Print CSV with a header.

    Raises:
        ConfigError: Both formats are requested.
        StorageError: There is no sweep, or it cannot be read.
    """
    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other; give one of them")
    results = load(path)
    if as_json:
        print(json.dumps(results.as_json(), indent=2, allow_nan=False))
    elif as_csv:
        print(results.as_csv(), end="")
        for note in notes(results, ("damage",)):
            print(printable(note.text), file=sys.stderr)
    else:
        _print_table(results)


def headline(results: SweepResults) -> str:
    """Return a line on the whole sweep: ``camvid, running: 7 of 16 trials (5 finished, 2 running), 12 min 05 s``."""
    counts = Counter(text.words(outcome) for outcome in results.trials["outcome"])
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    progress = results.progress()
    trials = f"{progress} trial{'' if progress == '1' else 's'}" + (f" ({outcomes})" if outcomes else "")
    held = "" if results.held_since is None else f", on hold since {text.moment(results.held_since)}"
    return f"{results.info.name}, {results.state}{held}: {trials}, {text.duration(results.seconds)}"


def trials_table(results: SweepResults) -> Table:
    """Return the trials as a rich table, best first; trials that failed or have no score come last."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    scores = results.extra_scores
    figures = [cell(results.objective_label), *(cell(score.heading) for score in scores)]
    for name in ("trial", "outcome", *figures, "best at", "epochs run", "time"):
        table.add_column(name, justify="left" if name in ("trial", "outcome") else "right", no_wrap=True)
    for searched in results.searched:
        table.add_column(cell(searched.label), justify="left" if searched.kind == "choice" else "right", no_wrap=True)
    rest = results.trials.drop(results.ranked.index)
    for row in pd.concat([results.ranked, rest]).to_dict("records"):
        cells = _cells(row, results.info.objective, scores)
        table.add_row(*cells, *(cell(searched.shown(row)) for searched in results.searched))
    return table


def _cells(row: Row, objective: Objective, scores: Sequence[ExtraScore]) -> list[str]:
    best_epoch = text.MISSING if text.is_missing(row["best_epoch"]) else str(row["best_epoch"])
    return [
        cell(row["id"]),
        text.words(row["outcome"]),
        objective.shown(row[objective.column]),
        *(score.score.shown(row[score.column]) for score in scores),
        best_epoch,
        str(row["epochs"]),
        text.duration(row["seconds"]),
    ]


def _print_table(results: SweepResults) -> None:
    console = Console(highlight=False)
    table = trials_table(results)
    # A line wider than the screen wraps as a whole; rich would fold every cell instead.
    unlimited = console.options.update(max_width=10_000)
    console.width = max(console.width, Measurement.get(console, unlimited, table).maximum)
    _print_line(console, headline(results))
    for note in notes(results, ("damage",)):
        _print_line(console, note.text)
    if results.trials.empty:
        return
    console.print(table)
    for note in notes(results, NOTES_BELOW_TABLE):
        _print_line(console, note.text)


def _print_line(console: Console, line: str) -> None:
    console.print(printable(line), markup=False, soft_wrap=True)
