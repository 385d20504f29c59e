"""Read trials' files into the frames: trials, epochs, classes, repeats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

import pandas as pd

from segray.config import RunConfig, flatten
from segray.errors import ConfigError, StorageError
from segray.foreign import in_short
from segray.objective import SCORES, Objective
from segray.records import EpochRecord, Outcome
from segray.storage import Repeat
from segray.trial_files import TrialFiles
from segray.values import Values

Series: TypeAlias = "pd.Series[Any]"
"""A row or a column of a frame, with values of any types"""

TRIAL_COLUMNS: Final = {
    "id": "str",
    "outcome": "str",
    "reason": "str",
    "traceback": "str",
    "epochs": "int64",
    # Capital Int64 allows missing values, which a trial without an mIoU has; int64 does not.
    "best_epoch": "Int64",
    "best_score": "float64",
    # At the best epoch.
    "val_miou": "float64",
    "cluster_accuracy": "float64",
    "seconds": "float64",
    "drawn": "object",
}
"""Columns of ``trials`` before the config keys; ``best_score`` is named after the objective, such as best_val_miou."""
_WHOLE_NUMBERS: Final = {"epoch": "int64", "attempt": "int64", "peak_memory_bytes": "Int64", "best_epoch": "Int64"}
_NO_SCALARS: Final = {"scores", "val_iou", "best_score"}
_EPOCH_SCALARS: Final = [name for name in EpochRecord.model_fields if name not in _NO_SCALARS]
REPEAT_COLUMNS: Final = {
    "trial": "str",
    "id": "str",
    "seed": "int64",
    "epochs": "int64",
    "outcome": "str",
    "reason": "str",
    "best_score": "float64",
    "seconds": "float64",
}
CLASS_COLUMNS: Final = {"trial": "str", "epoch": "int64", "class": "str", "iou": "float64"}


@dataclass(frozen=True)
class TrialContent:
    """The content of one trial's files."""

    id: str
    drawn: tuple[str, ...]
    config: dict[str, object] | None
    records: list[EpochRecord]
    outcome: Outcome | None
    seconds: float
    damage: str = ""
    """Which file is damaged, and why; empty if no file is"""
    is_left_out: bool = False
    """Whether the damage keeps the trial from being compared with others"""


def read_trials(trials: Sequence[TrialFiles]) -> list[TrialContent]:
    """Read trials in parallel, since reading from an object store is mostly waiting."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(_read_trial, trials))


def other_columns(objectives: Sequence[Objective]) -> dict[str, str]:
    """Return the columns of ``trials`` between TRIAL_COLUMNS and the config keys: objectives after the main one."""
    return {other.name: "float64" for other in objectives[1:] if other.name not in TRIAL_COLUMNS}


def trials_frame(
    trials: Iterable[TrialContent], objectives: Sequence[Objective], unended: str, paused: Collection[str] = ()
) -> pd.DataFrame:
    """Return one row per trial: TRIAL_COLUMNS, ``other_columns``, and one column per dotted config key.

    Args:
        trials: Content of the trials' files.
        objectives: The numbers that trials are compared by; an epoch is the best one by the first.
        unended: Outcome of a trial that has not written one: ``running`` or ``interrupted``.
        paused: Ids of the trials that have left their slots; without an outcome of their own, they are ``paused``.
    """
    contents = list(trials)
    rows = [_trial_row(trial, objectives, "paused" if trial.id in paused else unended) for trial in contents]
    frame = _frame(rows, TRIAL_COLUMNS | other_columns(objectives))
    frame = frame.rename(columns={"best_score": objectives[0].column})
    configs = [trial.config or {} for trial in contents]
    # All trials' keys: after a resume, trials may be from different versions of segray. A dict keeps the order.
    keys = dict.fromkeys(key for config in configs for key in config)
    columns = {key: _config_column([config.get(key) for config in configs]) for key in keys}
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)


def epochs_frame(trials: Iterable[TrialContent], objectives: Sequence[Objective]) -> pd.DataFrame:
    """Return one row per trial and epoch: every scalar of the EpochRecord, each of ``SCORES``, and the objectives."""
    objective = objectives[0]
    scores = dict.fromkeys((*SCORES, *(item.name for item in objectives)))
    columns = {"trial": "str", **{name: _WHOLE_NUMBERS.get(name, "float64") for name in _EPOCH_SCALARS}}
    columns |= dict.fromkeys((*scores, objective.column), "float64")
    rows = [
        {
            "trial": trial.id,
            **record.model_dump(exclude=_NO_SCALARS),
            **{name: record.scores.get(name) for name in scores},
            objective.column: record.best_score,
        }
        for trial in trials
        for record in trial.records
    ]
    return _frame(rows, columns)


def classes_frame(trials: Iterable[TrialContent], classes: Sequence[str]) -> pd.DataFrame:
    """Return one row per trial, epoch and class; IoU is NaN for a class that is not in the mean."""
    rows = [
        {"trial": trial.id, "epoch": record.epoch, "class": name, "iou": iou}
        for trial in trials
        for record in trial.records
        for name, iou in zip(classes, record.class_iou(classes), strict=False)
    ]
    return _frame(rows, CLASS_COLUMNS)


def repeats_frame(repeats: Mapping[Repeat, TrialContent], objective: Objective, unended: str) -> pd.DataFrame:
    """Return one row per repeat: REPEAT_COLUMNS; ``epochs`` is the number of epochs that the repeat shall train.

    Args:
        repeats: Content of the repeats' files.
        objective: The score by which an epoch is the best one.
        unended: Outcome of a repeat that has not written one.
    """
    rows = [
        _trial_row(content, [objective], unended)
        | {"trial": repeat.trial, "seed": repeat.seed, "epochs": repeat.epochs}
        for repeat, content in repeats.items()
    ]
    return _frame(rows, REPEAT_COLUMNS).rename(columns={"best_score": objective.column})


def _read_trial(trial: TrialFiles) -> TrialContent:
    try:
        found = trial.damage()
        # A damaged last.json hides no result: it only names the checkpoint to go on from.
        if damage := "; ".join(why for name, why in found.items() if name != "last.json"):
            return _left_out(trial, damage)
        return _whole_trial(trial, damage=found.get("last.json", "") or trial.record_damage())
    except StorageError as error:
        return _left_out(trial, in_short(error))


def _left_out(trial: TrialFiles, damage: str) -> TrialContent:
    return TrialContent(
        id=trial.id, drawn=(), config=None, records=[], outcome=None, seconds=0.0, damage=damage, is_left_out=True
    )


def _whole_trial(trial: TrialFiles, damage: str) -> TrialContent:
    values, tree, records, outcome = trial.values() or {}, trial.config(), trial.records(), trial.outcome()
    config = None if tree is None else flatten(tree)
    if config is not None and (wrong := _wrong_value(config)):
        return _left_out(trial, f"its config.json is damaged ({wrong})")
    # The searched values are looked up in the config's columns, so every drawn key must have one.
    if config is not None and (strange := values.keys() - config.keys()):
        return _left_out(trial, f"its values.json is damaged ({min(strange)} is no key of its config.json)")
    return TrialContent(
        id=trial.id,
        drawn=() if config is None else tuple(values),
        config=config,
        records=records,
        outcome=outcome,
        seconds=_seconds(trial, records, outcome),
        damage=damage,
    )


@cache
def _known_keys() -> frozenset[str]:
    return frozenset(RunConfig().flat())


def _wrong_value(config: Values) -> str:
    """Return what is wrong with a config; unknown keys are fine, since other versions of segray have more keys."""
    # A key such as `id` or `best_val_miou` would give the trials frame two columns with one name.
    if clash := {key for key in config if key in TRIAL_COLUMNS or key.startswith("best_")}:
        return f"{min(clash)} is no config key"
    try:
        RunConfig().with_values({key: value for key, value in config.items() if key in _known_keys()})
    except ConfigError as error:
        return in_short(error)
    return ""


def _seconds(trial: TrialFiles, records: Sequence[EpochRecord], outcome: Outcome | None) -> float:
    if outcome is not None:
        return outcome.seconds
    # The pointer also counts time of attempts that were lost before their epoch ended.
    trained = sum(record.epoch_seconds for record in records)
    last = trial.pointer("last")
    return trained if last is None else max(trained, last.seconds)


def _trial_row(trial: TrialContent, objectives: Sequence[Objective], unended: str) -> dict[str, object]:
    objective = objectives[0]
    # Without an outcome, only the defaults of the other fields are used, never this status.
    outcome = trial.outcome or Outcome(status="finished")

    def rank(record: EpochRecord) -> float:
        return objective.rank(record.scores.get(objective.name))

    valued = [record for record in trial.records if record.scores.get(objective.name) is not None]
    # max() returns the earliest of equal epochs, as training does, so the epoch agrees with best.json.
    best = max(valued, key=rank, default=None)
    if (trial.config or {}).get("data.all_data"):
        # Its validation images trained the model, so training keeps the last epoch, whatever the scores.
        best = valued[-1] if valued else None
    elif best is not None and objective.rank(outcome.best_score) > rank(best):
        # The record of the best epoch is damaged, but the outcome still knows that epoch's score.
        best = None
    return {
        "id": trial.id,
        "outcome": unended if trial.outcome is None else outcome.status,
        "reason": outcome.note,
        "traceback": outcome.traceback,
        # A running trial has no outcome yet, and the last records of an ended trial may be damaged.
        "epochs": max(outcome.epochs, trial.records[-1].epoch if trial.records else 0),
        "best_epoch": outcome.best_epoch if best is None else best.epoch,
        "best_score": outcome.best_score if best is None else best.scores[objective.name],
        "val_miou": None if best is None else best.scores.get("val_miou"),
        "cluster_accuracy": None if best is None else best.scores.get("val_cluster_accuracy"),
        "seconds": trial.seconds,
        "drawn": trial.drawn,
        **{name: None if best is None else best.scores.get(name) for name in other_columns(objectives)},
    }


def _frame(rows: Sequence[Mapping[str, object]], dtypes: dict[str, str]) -> pd.DataFrame:
    # Without rows, pandas would make every column an object column; the figures need numbers in an empty sweep too.
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _config_column(values: Sequence[Any]) -> Series:
    # A missing value would turn a column of integers into floats; Python objects keep their type.
    column = pd.Series(values, dtype=object)
    return column if any(value is None for value in values) else column.infer_objects()
