"""The text of the report on the best trial's evaluation on the test images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from segray import text
from segray.objective import MIOU
from segray.split_scores import BenchmarkScores, SplitScores

NUM_WORST: Final = 8


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores."""

    title: str
    columns: tuple[str, ...]
    """The headings, that of the rows' names among them"""
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class EvaluationText:
    """The scores on the test images in words."""

    reading: str
    scores: tuple[tuple[str, str], ...]
    tables: tuple[ScoreTable, ...]
    notes: tuple[str, ...]


def describe(found: SplitScores, epochs: pd.DataFrame) -> EvaluationText:
    """Describe the scores of an evaluation.

    Args:
        found: The scores.
        epochs: The records of all epochs, as ``SweepResults.epochs`` has them.
    """
    benchmark = found.benchmark
    return EvaluationText(
        reading=_reading(found),
        scores=_scores(found),
        tables=(
            _classes(found),
            *([_of_benchmark(benchmark)] if benchmark else []),
            *([_worst(found)] if found.images else []),
            *_splits(found, epochs),
        ),
        notes=(benchmark.note,) if benchmark and benchmark.note else (),
    )


def _reading(found: SplitScores) -> str:
    where = f"Trial {found.trial}, epoch {found.epoch}, on {found.num_images} images that chose no trial"
    if found.label_size == "training":
        return f"{where}; judged by an earlier version, on labels of the size of training."
    if found.training_px is None:
        return f"{where}."
    return (
        f"{where}, on labels of their own size, as published figures are. Trials were compared on labels resized to "
        f"{text.value(found.training_px)}, which lose thin things."
    )


def _scores(found: SplitScores) -> tuple[tuple[str, str], ...]:
    calibration, benchmark = found.calibration, found.benchmark
    fractions = {
        "mIoU": found.miou,
        "mIoU at the size of training": found.miou_at_training_size,
        "Boundary IoU": found.boundary_miou,
        "Pixel accuracy": found.pixel_accuracy,
        "Mean class accuracy": found.mean_class_accuracy,
        "Frequency-weighted IoU": found.frequency_weighted_iou,
        "Calibration error": calibration.ece if calibration else None,
        "mIoU kept under corruptions": found.corruptions.mean_kept() if found.corruptions else None,
        **({f"{benchmark.title}: {name}": score for name, score in benchmark.summary.items()} if benchmark else {}),
    }
    shown = {name: text.percent(score) for name, score in fractions.items() if score is not None}
    return tuple((shown | ({} if found.loss is None else {"Loss": text.decimal(found.loss)})).items())


def _splits(found: SplitScores, epochs: pd.DataFrame) -> list[ScoreTable]:
    """Return the losses of the same weights on the training, validation and test images; no table without a loss."""
    records = epochs[(epochs["trial"] == found.trial) & (epochs["epoch"] == found.epoch)]
    if found.loss is None or records.empty:
        return []
    record = records.iloc[-1]
    rows = (
        ("training (augmented, while the weights still changed)", text.decimal(record["train_loss"]), text.MISSING),
        ("validation", text.decimal(record["val_loss"]), text.percent(record[MIOU.name])),
        ("test", text.decimal(found.loss), text.percent(found.miou)),
    )
    return [ScoreTable("Loss on training, validation and test images", ("images", "loss", "mIoU"), rows)]


def _classes(found: SplitScores) -> ScoreTable:
    columns = {"IoU": found.iou, "boundary IoU": found.boundary_iou}
    if found.calibration:
        columns["calibration error"] = found.calibration.class_ece
    columns = {name: scores for name, scores in columns.items() if scores}
    rows = zip(found.classes, *columns.values(), strict=True)
    return ScoreTable(
        "Scores per class",
        ("class", *columns),
        tuple((name, *map(text.percent, scores)) for name, *scores in rows),
    )


def _of_benchmark(found: BenchmarkScores) -> ScoreTable:
    first = next(iter(found.table.values()), {})
    columns = [name for name in first if any(row[name] is not None for row in found.table.values())]
    rows = tuple((name, *(text.decimal(row[column]) for column in columns)) for name, row in found.table.items())
    return ScoreTable(f"Scores of {found.title}", ("", *columns), rows)


def _worst(found: SplitScores) -> ScoreTable:
    worst = found.worst_images(NUM_WORST)
    return ScoreTable(
        f"The {len(worst)} images with the lowest mIoU",
        ("image", "mIoU", "pixel accuracy"),
        tuple((image.name, text.percent(image.miou), text.percent(image.pixel_accuracy)) for image in worst),
    )
