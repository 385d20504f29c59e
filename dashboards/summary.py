"""The text of the report: headline, notes, trials table, provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from segray import text
from segray.config import RunConfig
from segray.config.keys import keys_deciding
from segray.config.mark import Decides
from segray.results import Spread, SweepResults
from segray.results.notes import CAUTIONS, NoteKind, notes
from segray.shown import redacted

OUTCOME_ORDER = ("finished", "stopped", "running", "interrupted", "failed", "diverged", "out_of_memory")

NOTES: Final[tuple[NoteKind, ...]] = (
    *("damage", "running", "unfinished", "comparison", *CAUTIONS, "none_finished", "schedule"),
    *("classes", "recipe", "test", "no_test", "clusters"),
)
"""The kinds of notes in the report, in its order. Headline and table show the other kinds, repeats and failures."""


@dataclass(frozen=True)
class Line:
    """A number of the headline with its meaning."""

    figure: str
    meaning: str


@dataclass(frozen=True)
class Best:
    """The best trial in words."""

    id: str
    miou: str
    epoch: str
    mean: str
    """The classes that the mIoU averages"""
    test_miou: str
    """Empty if the trial has no test score"""
    test_caption: str
    test_mean: str
    lines: tuple[Line, ...]
    """Scores over further seeds, and gains over the baselines"""
    config: tuple[tuple[str, str], ...]
    """Key and value of the searched keys; for a single run, of the keys that differ from segray's defaults"""


@dataclass(frozen=True)
class Cell:
    """One value of the table; numbers are right-aligned and sort by size."""

    shown: str
    is_number: bool
    number: float | None
    """None for text and for a missing number"""


@dataclass(frozen=True)
class TrialRow:
    """One line of the trials table."""

    id: str
    outcome: str
    reason: str
    traceback: str
    is_best: bool
    miou: Cell
    cells: tuple[Cell, ...]
    """The remaining cells; Summary.columns has their headings"""


@dataclass(frozen=True)
class Summary:
    """All text of the report."""

    kind: Literal["sweep", "run"]
    name: str
    state: str
    best: Best | None
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, int], ...]
    """Outcome and number of trials, in OUTCOME_ORDER, without outcomes that did not occur"""
    columns: tuple[str, ...]
    """Headings of the cells of ``rows``"""
    rows: tuple[TrialRow, ...]
    provenance: tuple[tuple[str, str], ...]


def summarise(results: SweepResults) -> Summary:
    """Describe a sweep in words."""
    best = results.best_trial()
    counts = Counter(results.trials["outcome"])
    return Summary(
        kind="run" if results.is_single_run else "sweep",
        name=results.info.name,
        state=results.state,
        best=None if best is None else _best(results, best),
        notes=tuple(note.text for note in notes(results, NOTES)),
        facts=_facts(results),
        outcomes=tuple((outcome, counts[outcome]) for outcome in OUTCOME_ORDER if counts[outcome]),
        columns=(
            *(["cluster accuracy"] if results.has_clusters else []),
            *("best at", "epochs run", "time"),
            *(key.label for key in results.searched),
        ),
        rows=tuple(
            _row(results, row, is_best=best is not None and row["id"] == best["id"])
            for row in results.trials.to_dict("records")
        ),
        provenance=_provenance(results),
    )


def _best(results: SweepResults, best: pd.Series[Any]) -> Best:
    miou, majority, test = best["best_val_miou"], results.info.majority_val_miou, results.test
    over_majority = f"over predicting {results.info.majority_class} everywhere ({text.percent(majority)})"
    return Best(
        id=best["id"],
        miou=text.percent(miou),
        epoch=f"epoch {best['best_epoch']} of {best['epochs']}",
        mean=results.mean_text(),
        test_miou="" if test is None else text.percent(test.miou),
        test_caption=f"on {results.num_test_images} images that chose no trial",
        test_mean="" if test is None else text.mean_over(test.num_in_mean, len(test.classes)),
        lines=(*_against_baseline(results, best), Line(text.points(miou - majority), over_majority)),
        config=_own_values(results) if results.is_single_run else _searched_values(results, best),
    )


def _searched_values(results: SweepResults, best: pd.Series[Any]) -> tuple[tuple[str, str], ...]:
    trial = best.to_dict()
    return tuple((key.key, key.shown(trial)) for key in results.searched if key.is_drawn(trial))


def _own_values(results: SweepResults) -> tuple[tuple[str, str], ...]:
    """Return the values of a run that differ from segray's defaults."""
    default = RunConfig().flat()
    # Paths are left out: they may tell about a person's machine.
    return tuple(
        (key, text.value(value))
        for key, value in results.info.base.items()
        if value != default.get(key) and key not in keys_deciding(Decides.PLACE)
    )


def _against_baseline(results: SweepResults, best: pd.Series[Any]) -> list[Line]:
    """Return best trial, baseline and gain over further seeds, or without repeats the gain of single runs."""
    name, found = results.info.baseline_name, results.confirmation()
    if found is None:
        first = results.first_trial()
        # A baseline that failed or was cut has a low score, which would make the gain look larger.
        if first is None or first["id"] == best["id"] or first["outcome"] != "finished":
            return []
        baseline = first["best_val_miou"]
        return [Line(text.points(best["best_val_miou"] - baseline), f"over {name} ({text.percent(baseline)})")]
    # The gain of the single runs is left out: the best of many trials is also the luckiest.
    lines = [_line(found.best, f"trial {found.trial} repeated", found.counted_seeds)]
    if found.baseline is not None and found.gain is not None:
        gain = found.gain
        lines += [
            _line(found.baseline, f"{name} with the same seeds and epochs", found.counted_seeds),
            Line(
                text.points(gain.mean),
                f"gain, seed by seed ({text.points_range(gain.low, gain.high)}, {found.counted_seeds})",
            ),
        ]
    return lines


def _line(spread: Spread, what: str, num_seeds: str) -> Line:
    return Line(text.percent(spread.mean), f"{what} ({text.percent_range(spread.low, spread.high)}, {num_seeds})")


def _facts(results: SweepResults) -> tuple[tuple[str, str], ...]:
    saved = results.seconds_saved()
    facts = {
        "Time spent": text.duration(results.seconds),
        "Saved by early stopping": f"about {text.duration(saved)} of training (estimate)" if saved else "nothing",
        "Trials": results.progress(),
        "Data set": _data(results.info.base),
        "Epochs": _epochs(results),
        "Search": f"{results.info.sampler}, {results.info.scheduler}",
    }
    of_search = ("Saved by early stopping", "Trials", "Search") if results.is_single_run else ()
    return tuple((name, fact) for name, fact in facts.items() if name not in of_search)


def _data(base: Mapping[str, Any]) -> str:
    sizes = [
        f"{name} {text.value(base[key])} px"
        for name, key in (("resized to", "data.resize_px"), ("crops of", "data.crop_px"))
        if base.get(key)
    ]
    layout = base.get("data.dataset", "unknown")
    # Only the end of the path: reports are shared, and a whole path may tell about a person's machine.
    folder = "/".join(Path(base.get("data.root", "")).parts[-2:])
    place = f"{folder} in the layout of {layout}" if folder else layout
    return ", ".join([place, *sizes])


def _epochs(results: SweepResults) -> str:
    if "train.epochs" in results.info.space:
        return f"searched, at most {results.info.max_epochs}"
    return str(results.info.max_epochs)


def _row(results: SweepResults, row: Mapping[Any, Any], *, is_best: bool) -> TrialRow:
    best_epoch = row["best_epoch"]
    miou, cluster_accuracy = row["best_val_miou"], row["cluster_accuracy"]
    cells = (
        *([_cell(cluster_accuracy, text.percent(cluster_accuracy))] if results.has_clusters else []),
        _cell(None, text.MISSING) if text.is_missing(best_epoch) else _cell(int(best_epoch), str(best_epoch)),
        _cell(row["epochs"], str(row["epochs"])),
        _cell(row["seconds"], text.duration(row["seconds"])),
        *(_cell(row[key.key] if key.is_drawn(row) else None, key.shown(row)) for key in results.searched),
    )
    return TrialRow(
        id=row["id"],
        outcome=row["outcome"],
        reason=row["reason"],
        traceback=row["traceback"],
        is_best=is_best,
        miou=_cell(miou, text.percent(miou)),
        cells=cells,
    )


def _cell(value: Any, shown: str) -> Cell:
    is_known = isinstance(value, int | float) and not isinstance(value, bool) and not text.is_missing(value)
    return Cell(shown, is_number=is_known or shown == text.MISSING, number=float(value) if is_known else None)


def _provenance(results: SweepResults) -> tuple[tuple[str, str], ...]:
    info = results.info
    pairs = [
        ("Folder", results.files.folder.path),
        ("Started", _moment(info.created_at)),
        # The command may hold the password of a storage URL, and reports are shared.
        ("Command", redacted(info.command)),
        ("Seed", str(info.seed)),
        ("Encoder weights", info.encoder_weights),
        ("Git revision", info.git_revision),
        ("Versions", ", ".join(f"{name} {version}" for name, version in info.versions.items())),
        ("Hardware", ", ".join(f"{text.words(name)}: {text.value(value)}" for name, value in info.hardware.items())),
        *((f"Space: {key}", words) for key, words in info.space.items()),
    ]
    return tuple((name, value or "not recorded") for name, value in pairs)


def _moment(created_at: str) -> str:
    try:
        return f"{datetime.fromisoformat(created_at):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return created_at
