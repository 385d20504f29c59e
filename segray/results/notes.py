"""Notes: what a reader should know about a sweep's results.

Which notes apply is decided here, once. The terminal, the report and the end of a sweep choose kinds and print them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from segray import text
from segray.records import FAILURES, UNENDED
from segray.results import repeat_notes
from segray.results.frames import Series
from segray.results.pareto import value_columns
from segray.results.sweep import SweepResults

NoteKind = Literal[
    "damage",
    "running",
    "unfinished",
    "comparison",
    "repeats",
    "overlap",
    "shorter_baseline",
    "failed_repeats",
    "race",
    "none_finished",
    "schedule",
    "classes",
    "pareto",
    "lineage",
    "all_data",
    "recipe",
    "test",
    "no_test",
    "clusters",
    "failure",
]

CAUTIONS: Final[tuple[NoteKind, ...]] = ("overlap", "shorter_baseline", "failed_repeats")
"""Notes to read before trusting the repeats."""

_SCHEDULE_NOTE: Final = (
    "Early stopping compared unequal learning-rate schedules: train.patience is searched, so some trials ended earlier "
    "in their schedule than others."
)


@dataclass(frozen=True)
class Note:
    """One sentence or two about a sweep, its trials or its repeats."""

    kind: NoteKind
    text: str


def notes(results: SweepResults, kinds: Sequence[NoteKind]) -> tuple[Note, ...]:
    """Return the notes of these kinds that apply to a sweep, in the order of the kinds."""
    return tuple(Note(kind, sentence) for kind in kinds for sentence in _WRITERS[kind](results))


def repeat_options(results: SweepResults) -> str:
    """Return the options of the sweep's command that repeat the best trial and the baseline without searching on."""
    # A larger --trials would continue the search before it repeats anything, and --trials 0 is refused.
    num_ended = int((~results.trials["outcome"].isin(UNENDED)).sum())
    return f"--resume --trials {max(num_ended, 1)} --repeats 3"


def _damage(results: SweepResults) -> Iterator[str]:
    for line in results.damage:
        yield f"{line[0].upper()}{line[1:]}."


def _running(results: SweepResults) -> Iterator[str]:
    if results.held_since is not None:
        yield (
            f"The sweep has been on hold since {text.moment(results.held_since)}, by request, and `segray continue` "
            "lets it go on: these are the results so far."
        )
    elif results.state == "running":
        yield "The sweep is still running: these are the results so far."


def _unfinished(results: SweepResults) -> Iterator[str]:
    outcomes = results.trials["outcome"]
    num_paused, num_cut = int(outcomes.eq("paused").sum()), int(outcomes.eq("interrupted").sum())
    num_started = len(results.trials) + results.num_left_out
    if results.state == "interrupted" and results.is_single_run:
        # segray train --resume needs --name, because a run's default name holds the time of its start.
        how = f"the same command with --name {results.info.name} --resume"
        yield f"The run was interrupted before its end; {how} continues it."
    elif results.state == "interrupted":
        yield "The sweep was interrupted before its end; --resume continues it."
    elif results.state == "finished" and (num_paused or num_cut or num_started < results.num_planned):
        cut = "".join(
            f", {number} {what}" for number, what in ((num_paused, "paused"), (num_cut, "cut short")) if number
        )
        yield f"The sweep ended before its trials did ({results.progress()} started{cut}); --resume continues it."


def _comparison(results: SweepResults) -> Iterator[str]:
    """Yield why the best trial cannot be compared with the baseline, or how far its gain can be trusted."""
    baseline, name = results.first_trial(), results.info.baseline_name
    # The order matters: each condition may read what the conditions above it made sure of, such as a ranked trial.
    if results.trials.empty:
        yield "No trial has started, so there is nothing to compare."
    elif results.trials["outcome"].isin(FAILURES).all():
        yield "Every trial failed; the reasons are in the trials table."
    elif results.ranked.empty:
        yield f"No trial has completed an epoch with a {results.info.objective.label} yet."
    elif len(results.trials) == 1:
        # A single run has nothing to compare by design, so its report needs no note about that.
        if not results.is_single_run:
            yield "There is only one trial, so there is nothing to compare it with."
    elif baseline is not None and baseline["id"] == results.ranked["id"].iloc[0]:
        yield f"The search has not improved on {name}, which is still the best."
    elif baseline is not None and baseline["outcome"] in FAILURES:
        ended = text.words(baseline["outcome"])
        yield f"The gain over {name} is not known: its trial ended as {ended}, and failed trials are not repeated."
    elif results.confirmation() is None and not repeat_notes.num_failed_repeats(results):
        yield from _unrepeated(results, baseline, name)


def _unrepeated(results: SweepResults, baseline: Series | None, name: str) -> Iterator[str]:
    """Yield what the gain is worth while no repeats confirm it."""
    # A running sweep is told no command: --resume is refused while its driver lives.
    if results.state == "running":
        if not results.repeats.empty:
            yield "The best trial and its baseline are being repeated with further seeds."
    elif baseline is None or baseline["outcome"] != "finished":
        ended = "has not ended" if baseline is None else f"is {text.words(baseline['outcome'])}"
        yield f"The gain over {name} is not known, since its trial {ended}; {repeat_options(results)} repeats both."
    else:
        yield (
            f"The gain over {name} rests on one seed each; {repeat_options(results)} repeats both with three further "
            "seeds and shows the spread."
        )


def _none_finished(results: SweepResults) -> Iterator[str]:
    if not results.trials.empty and not (results.trials["outcome"] == "finished").any():
        yield "No trial has run to its end."


def _schedule(results: SweepResults) -> Iterator[str]:
    # Without a scheduler, no trial was compared with others in the middle of its learning-rate schedule.
    if not results.trials.empty and results.info.scheduler != "none" and "train.patience" in results.info.space:
        yield _SCHEDULE_NOTE


def _classes(results: SweepResults) -> Iterator[str]:
    """Yield the classes that val mIoU leaves out."""
    (fewest, most), total = results.num_in_mean, len(results.info.classes)
    if fewest in (0, total):
        return
    mean = results.mean_text()
    if results.info.val_classes:
        missing = [name for name in results.info.classes if name not in results.info.val_classes]
        yield f"mIoU is the {mean}: no validation image has {', '.join(missing)}."
    elif fewest == most:
        yield f"mIoU is the {mean}: an earlier version of segray wrote this sweep."
    else:
        yield (
            f"mIoU is the {mean}: an earlier version of segray wrote this sweep, and counted in each epoch the classes "
            "that validation labels held or the model predicted. Epochs and trials compare only roughly."
        )


def _pareto(results: SweepResults) -> Iterator[str]:
    """Yield the trials of the Pareto front, with their values."""
    objectives, front = results.info.objectives, results.pareto
    if len(objectives) == 1 or front.empty:
        return
    columns = value_columns(objectives)
    trials = [
        f"{row['id']} ({', '.join(o.shown(row[column]) for o, column in zip(objectives, columns, strict=True))})"
        for row in front.to_dict("records")
    ]
    what = text.joined([objective.label for objective in objectives])
    yield (
        f"Pareto front of {what}, {text.counted(len(trials), 'trial')} of {len(results.ranked)}: {', '.join(trials)}. "
        "No other trial is at least as good in each and better in one."
    )


def _recipe(results: SweepResults) -> Iterator[str]:
    """Yield the values in which the run differs from the published recipe."""
    info = results.info
    if info.recipe_values:
        changed = [
            f"{key} {text.value(info.base.get(key))} (published: {text.value(published)})"
            for key, published in info.recipe_values.items()
        ]
        yield f"Recipe {info.recipe} was run with other values than published: {', '.join(changed)}."


def _lineage(results: SweepResults) -> Iterator[str]:
    """Yield what a run goes on from, a sentence for config and weights each, and what a search knew before it began."""
    names = {"config": "The config is", "weights": "Training started from the weights of"}
    for lineage in results.info.lineage:
        of = "that of " if lineage.gave == "config" else ""
        yield f"{names[lineage.gave]} {of}{lineage.title} ({lineage.location})."
    if results.info.warm_start:
        yield (
            f"The search had a warm start from {', '.join(results.info.warm_start)}: do not compare it with searches "
            "that began without one."
        )


def _all_data(results: SweepResults) -> Iterator[str]:
    """Yield which figures of a run are unbiased, if its validation images trained it."""
    if results.info.trains_on_val:
        unbiased = "only test scores are unbiased" if results.num_test_images else "no figure of this run is unbiased"
        yield (
            "The validation images trained this model too (data.all_data): val scores are on training images and "
            f"chose nothing, the last epoch is kept, and {unbiased}."
        )


def _test(results: SweepResults) -> Iterator[str]:
    """Yield the best trial's test score, or that the trial has none yet."""
    best, scores = results.best_trial(), results.test
    if best is None:
        return
    if scores is not None:
        objective, num, total = results.test_objective, scores.num_in_mean, len(scores.classes)
        mean = f" ({text.mean_over(num, total)})" if objective.is_class_mean and num < total else ""
        flattered = f"Validation chose trial {best['id']}, which flatters its validation score. "
        yield (
            f"{'' if results.info.trains_on_val else flattered}The {results.num_test_images} "
            f"test images chose no trial; on them it has {objective.shown(scores.score(objective.name))} "
            f"{objective.bare_label}{mean}."
        )
    elif results.num_test_images:
        yield (
            f"Trial {best['id']} has not been scored on the {results.num_test_images} test images, which choose no "
            "trial: the end of the sweep does so, or segray evaluate."
        )


def _no_test(results: SweepResults) -> Iterator[str]:
    # A damaged splits.json makes the number of test images 0, so a test score has to count too.
    if results.info.trains_on_val:
        return
    if results.best_trial() is not None and results.test is None and not results.num_test_images:
        yield (
            "The best trial is scored on the validation split that chose it; data.holdout keeps images for an unbiased "
            "score."
        )


def _clusters(results: SweepResults) -> Iterator[str]:
    if results.has_clusters:
        yield (
            "Models were trained on K-Means clusters. Their accuracies on clusters compare only at the same K, so "
            "predictions are mapped to the palette classes for mIoU and ranking; the cluster accuracy stands beside "
            "mIoU."
        )


def _failure(results: SweepResults) -> Iterator[str]:
    """Yield a line for each trial and repeat that failed, with its reason."""
    stopped = results.repeats[results.repeats["outcome"] == "stopped"]
    failed = [frame[frame["outcome"].isin(FAILURES)] for frame in (results.trials, results.repeats)]
    ended = pd.concat([*failed, stopped])[["id", "outcome", "reason"]]
    for row in ended.to_dict("records"):
        yield f"{row['id']} {text.words(row['outcome'])}: {row['reason']}"


_WRITERS: Final[dict[NoteKind, Callable[[SweepResults], Iterator[str]]]] = {
    "damage": _damage,
    "running": _running,
    "unfinished": _unfinished,
    "comparison": _comparison,
    "repeats": repeat_notes.repeats,
    "overlap": repeat_notes.overlap,
    "shorter_baseline": repeat_notes.shorter_baseline,
    "failed_repeats": repeat_notes.failed_repeats,
    "race": repeat_notes.race,
    "none_finished": _none_finished,
    "schedule": _schedule,
    "classes": _classes,
    "pareto": _pareto,
    "lineage": _lineage,
    "all_data": _all_data,
    "recipe": _recipe,
    "test": _test,
    "no_test": _no_test,
    "clusters": _clusters,
    "failure": _failure,
}
