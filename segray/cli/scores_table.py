"""The output of ``segray evaluate``: tables of scores for a person, JSON for a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table

from segray import text
from segray.shown import cell, printable
from segray.split_scores import BenchmarkScores, CorruptionScores, SplitScores

SETTINGS: Final = ("beta", "threshold")
"""Columns of a benchmark's table that hold a setting, not a score"""
NUM_WORST: Final = 5
"""Number of the worst images that are printed; the JSON has all images"""


def print_scores(found: SplitScores) -> None:
    """Print the scores of an evaluation to standard output."""
    console = Console(highlight=False)
    parts = [
        _classes(found),
        "\n".join(_lines(found)),
        *(_benchmark(found.benchmark) if found.benchmark else ()),
        *(_corruptions(found.corruptions) if found.corruptions else ()),
    ]
    for part in parts:
        if isinstance(part, Table):
            console.print(part)
        else:
            console.print(printable(part), markup=False, soft_wrap=True)


def _classes(found: SplitScores) -> Table:
    calibration = found.calibration.class_ece if found.calibration else [None] * len(found.classes)
    table = _table("class", "IoU", "boundary IoU", *(["ECE"] if found.calibration else []))
    boundary = found.boundary_iou or [None] * len(found.classes)
    for name, *scores in zip(found.classes, found.iou, boundary, calibration, strict=True):
        table.add_row(cell(name), *map(text.percent, scores[: len(table.columns) - 1]))
    return table


def _lines(found: SplitScores) -> Iterator[str]:
    mean, whose = text.mean_over(found.num_in_mean, len(found.classes)), _whose(found)
    own = " at the labels' own size" if found.training_px else ""
    yield f"{found.split} mIoU {text.percent(found.miou)}{own} ({mean}) {whose}"
    if found.training_px:
        size = text.value(found.training_px)
        yield (
            f"{found.split} mIoU {text.percent(found.miou_at_training_size)} on labels resized to {size}, the size of "
            "training: trials are compared by it, but resized labels lose thin things, so published figures are not"
        )
    yield (
        f"pixel accuracy {text.percent(found.pixel_accuracy)}, "
        f"mean class accuracy {text.percent(found.mean_class_accuracy)}, "
        f"frequency-weighted IoU {text.percent(found.frequency_weighted_iou)}"
    )
    ece = f", calibration error (ECE) {text.percent(found.calibration.ece)}" if found.calibration else ""
    yield f"boundary IoU {text.percent(found.boundary_miou)}, loss {text.decimal(found.loss)}{ece}"
    if found.cluster_accuracy is not None:
        yield f"pixel accuracy on the K-Means clusters of training {text.percent(found.cluster_accuracy)}"
    if not found.images:
        return
    worst = [f"{image.name} {text.percent(image.miou)}" for image in found.worst_images(NUM_WORST)]
    yield f"worst images by mIoU: {', '.join(worst)}"


def _whose(found: SplitScores) -> str:
    model = f"of trial {found.trial}, epoch {found.epoch}, " if found.trial else ""
    where = f" of {found.dataset}" if found.dataset else ""
    way = f", predicted with {found.predicted_by}" if found.predicted_by else ""
    recorded = found.recorded_val_miou
    trained = "" if recorded is None else f" (val mIoU when it was trained: {text.percent(recorded)})"
    return f"{model}on {text.counted(found.num_images, 'image')}{where}{way}{trained}"


def _benchmark(found: BenchmarkScores) -> Iterator[Table | str]:
    summary = ", ".join(f"{name} {text.percent(score)}" for name, score in found.summary.items())
    rows = found.table.values()
    columns = [name for name in next(iter(rows)) if any(row[name] is not None for row in rows)]
    table = _table("", *columns)
    for name, row in found.table.items():
        shown = (text.decimal if column in SETTINGS else text.percent for column in columns)
        table.add_row(cell(name), *(show(row[column]) for show, column in zip(shown, columns, strict=True)))
    yield f"\n{found.title}: {summary}"
    yield found.note
    yield table


def _corruptions(found: CorruptionScores) -> Iterator[Table | str]:
    table = _table("mIoU kept at strength", *map(str, range(1, 1 + len(next(iter(found.miou.values()))))))
    for name in found.miou:
        table.add_row(name, *map(text.percent, found.kept(name)))
    yield f"\nunder corruptions, {text.percent(found.mean_kept())} of mIoU {text.percent(found.clean_miou)} is kept"
    yield table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
