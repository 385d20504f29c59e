"""The text of the report: headline, notes, trials table, provenance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from dashboards.use import Use, describe_use, is_path
from segray import text
from segray.config import RunConfig
from segray.config.keys import keys_deciding
from segray.config.mark import Decides
from segray.objective import Objective
from segray.results import Spread, SweepResults
from segray.results.frames import Series
from segray.results.notes import CAUTIONS, NoteKind, notes
from segray.results.searched import Row
from segray.shown import redacted
from segray.values import Json

OUTCOME_ORDER = (
    *("finished", "stopped", "running", "paused", "interrupted"),
    *("failed", "diverged", "out_of_memory", "infeasible"),
)

NOTES: Final[tuple[NoteKind, ...]] = (
    *("damage", "running", "unfinished", "comparison", *CAUTIONS, "race", "none_finished", "schedule"),
    *("lineage", "all_data", "classes", "pareto", "recipe", "test", "no_test", "clusters"),
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
    score: str
    label: str
    """The objective in a sentence, and on what it was measured"""
    epoch: str
    mean: str
    """The classes that the score averages; empty if it is no mean"""
    test_score: str
    """Empty if the trial has no test score"""
    test_label: str
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
    score: Cell
    cells: tuple[Cell, ...]
    """The remaining cells; Summary.columns has their headings"""


@dataclass(frozen=True)
class Summary:
    """All text of the report."""

    kind: Literal["sweep", "run"]
    name: str
    state: str
    best: Best | None
    use: Use | None
    """Next steps with the best model; None without one"""
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, int], ...]
    """Outcome and number of trials, in OUTCOME_ORDER, without outcomes that did not occur"""
    objective: str
    """Heading of the objective's column"""
    columns: tuple[str, ...]
    """Headings of the cells of ``rows``"""
    rows: tuple[TrialRow, ...]
    provenance: tuple[tuple[str, str], ...]


def summarise(results: SweepResults, location: str = "") -> Summary:
    """Describe a sweep in words.

    Args:
        results: The sweep.
        location: Its folder or URL as a person typed it, for the commands; empty for its name.
    """
    best = results.best_trial()
    counts = Counter(results.trials["outcome"])
    return Summary(
        kind="run" if results.is_single_run else "sweep",
        name=results.info.name,
        state=results.state,
        best=None if best is None else _best(results, best),
        use=describe_use(results, location or results.info.name),
        notes=tuple(note.text for note in notes(results, NOTES)),
        facts=_facts(results),
        outcomes=tuple((outcome, counts[outcome]) for outcome in OUTCOME_ORDER if counts[outcome]),
        objective=results.objective_label,
        columns=(
            *(score.heading for score in results.extra_scores),
            *("best at", "epochs run", "time"),
            *(key.label for key in results.searched),
        ),
        rows=tuple(
            _row(results, row, is_best=best is not None and row["id"] == best["id"])
            for row in results.trials.to_dict("records")
        ),
        provenance=_provenance(results),
    )


def _best(results: SweepResults, best: Series) -> Best:
    info, objective, test = results.info, results.info.objective, results.test
    score, majority = best[objective.column], info.majority_scores.get(objective.name)
    lines = [*_against_baseline(results, best)]
    if majority is not None:
        over_majority = f"over predicting {info.majority_class} everywhere ({objective.shown(majority)})"
        lines.append(Line(objective.shown_difference(score - majority), over_majority))
    of_test = results.test_objective
    return Best(
        id=best["id"],
        score=objective.shown(score),
        label=f"{objective.label} on training images" if info.trains_on_val else f"best {objective.label}",
        epoch=f"epoch {best['best_epoch']} of {best['epochs']}",
        mean=results.mean_text() if objective.is_class_mean else "",
        test_score="" if test is None else of_test.shown(test.score(of_test.name)),
        test_label=of_test.bare_label,
        test_caption=f"on {results.num_test_images} images that chose no trial",
        test_mean=""
        if test is None or not of_test.is_class_mean
        else text.mean_over(test.num_in_mean, len(test.classes)),
        lines=tuple(lines),
        config=_own_values(results) if results.is_single_run else _searched_values(results, best),
    )


def _searched_values(results: SweepResults, best: Series) -> tuple[tuple[str, str], ...]:
    trial = best.to_dict()
    return tuple((key.key, key.shown(trial)) for key in results.searched if key.is_drawn(trial))


def _own_values(results: SweepResults) -> tuple[tuple[str, str], ...]:
    """Return the values of a run that differ from segray's defaults."""
    default = RunConfig().flat()
    # Paths are left out: they may tell about a person's machine.
    return tuple(
        (key, Path(str(value)).name if is_path(value) else text.value(value))
        for key, value in results.info.base.items()
        if value != default.get(key) and key not in keys_deciding(Decides.PLACE)
    )


def _against_baseline(results: SweepResults, best: Series) -> list[Line]:
    """Return best trial, baseline and gain over further seeds, or without repeats the gain of single runs."""
    name, found, objective = results.info.baseline_name, results.confirmation(), results.info.objective
    if found is None:
        first = results.first_trial()
        # A baseline that failed or was cut has a low score, which would make the gain look larger.
        if first is None or first["id"] == best["id"] or first["outcome"] != "finished":
            return []
        baseline = first[objective.column]
        gain = objective.shown_difference(best[objective.column] - baseline)
        return [Line(gain, f"over {name} ({objective.shown(baseline)})")]
    # The gain of the single runs is left out: the best of many trials is also the luckiest.
    lines = [_line(objective, found.best, f"trial {found.trial} repeated", found.counted_seeds)]
    if found.baseline is not None and found.gain is not None:
        spread = objective.shown_difference_range(found.gain.low, found.gain.high)
        lines += [
            _line(objective, found.baseline, f"{name} with the same seeds and epochs", found.counted_seeds),
            Line(objective.shown_difference(found.gain.mean), f"gain, seed by seed ({spread}, {found.counted_seeds})"),
        ]
    return lines


def _line(objective: Objective, spread: Spread, what: str, num_seeds: str) -> Line:
    low_to_high = objective.shown_range(spread.low, spread.high)
    return Line(objective.shown(spread.mean), f"{what} ({low_to_high}, {num_seeds})")


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


def _data(base: Json) -> str:
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


def _row(results: SweepResults, row: Row, *, is_best: bool) -> TrialRow:
    best_epoch, objective = row["best_epoch"], results.info.objective
    score = row[objective.column]
    cells = (
        *(_cell(row[extra.column], extra.score.shown(row[extra.column])) for extra in results.extra_scores),
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
        score=_cell(score, objective.shown(score)),
        cells=cells,
    )


def _cell(value: object, shown: str) -> Cell:
    number = None
    if isinstance(value, int | float) and not isinstance(value, bool) and not text.is_missing(value):
        number = float(value)
    return Cell(shown, is_number=number is not None or shown == text.MISSING, number=number)


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
