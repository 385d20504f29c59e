"""A table of real trainings: which configs it has, which space they make, and how each of them trained."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna

from segray.errors import DataError

SCORE_COLUMNS = ("seed", "epoch", "score", "seconds")
EPOCHS_COLUMNS = ("train.epochs", "epochs")
"""Names of a column that holds a config's number of epochs, where it is searched"""
MAX_GRID = 12
"""Most values of a number that are taken for a grid; a number with more is drawn from its range"""
LOG_RATIO = 20.0
"""Ratio of the largest to the smallest value from which a range is searched on a log scale"""

Config = dict[str, object]


class Curve(NamedTuple):
    """One training."""

    scores: tuple[float, ...]
    """Validation score after each epoch"""
    seconds: tuple[float, ...]
    """Time of each epoch"""


@dataclass(frozen=True)
class Column:
    """A searched key."""

    name: str
    values: tuple[Any, ...]
    """All values: numbers in their order, or texts"""
    is_number: bool
    parent: str = ""
    """The column that decides whether a config uses this key; empty if all configs use it"""
    parent_values: frozenset[object] = frozenset()

    @property
    def is_grid(self) -> bool:
        """Whether the values are few enough to be drawn by their position."""
        return not self.is_number or len(self.values) <= MAX_GRID

    def suggest(self, trial: optuna.Trial) -> object:
        """Draw a value."""
        if not self.is_number:
            return trial.suggest_categorical(self.name, self.values)
        low, high = float(self.values[0]), float(self.values[-1])
        if not self.is_grid:
            return trial.suggest_float(self.name, low, high, log=low > 0 and high / low >= LOG_RATIO)
        # Positions are evenly spaced, as a grid of 1e-4, 1e-3 and 1e-2 is meant to be.
        return self.values[trial.suggest_int(self.name, 0, len(self.values) - 1)]

    def place(self, value: Any) -> float:
        """Return where a value lies, numbers from 0 to 1."""
        if not self.is_number:
            return float(self.values.index(value))
        if self.is_grid:
            return self.values.index(value) / max(len(self.values) - 1, 1)
        low, high, number = (float(x) for x in (self.values[0], self.values[-1], value))
        if low > 0 and high / low >= LOG_RATIO:
            low, high, number = math.log(low), math.log(high), math.log(number)
        return (number - low) / (high - low)


class TrainingTable:
    """The trainings of a CSV file.

    Args:
        name: The table's name, for messages.
        columns: The searched keys; parents before the keys that depend on them.
        curves: Config, as the values of the columns (None where a config does not use the key) -> its trainings.
    """

    def __init__(self, name: str, columns: Sequence[Column], curves: Mapping[tuple[Any, ...], Sequence[Curve]]):
        self.name, self.columns = name, tuple(columns)
        self.configs, self.curves = list(curves), list(curves.values())
        self.max_epochs = max(len(curve.scores) for trainings in self.curves for curve in trainings)
        self._index = {config: index for index, config in enumerate(self.configs)}
        self._places = np.array([self._place(config) for config in self.configs])
        self._categorical = np.array([not column.is_number for column in self.columns])

    def space(self, trial: optuna.Trial) -> Config:
        """Draw a config of the table's space, for a sweep."""
        drawn: Config = {}
        for column in self.columns:
            if not column.parent or drawn[column.parent] in column.parent_values:
                drawn[column.name] = column.suggest(trial)
        config = self.nearest(drawn)
        return {"config": config, "train.epochs": self.num_epochs(config)}

    def nearest(self, drawn: Config) -> int:
        """Return the position of the config that is nearest to drawn values; of a full grid, their own."""
        config = tuple(drawn.get(column.name) for column in self.columns)
        if config in self._index:
            return self._index[config]
        gaps = np.abs(self._places - self._place(config))
        # A key that only one of two configs uses, and a choice that differs, count as far as the ends of a range.
        gaps = np.where(np.isnan(gaps), np.isnan(self._places) != np.isnan(self._place(config)), gaps)
        gaps[:, self._categorical] = gaps[:, self._categorical] > 0
        return int(np.argmin((gaps**2).sum(axis=1)))

    def num_epochs(self, config: int) -> int:
        """Return the number of epochs that a config asks for; a training that diverged has fewer."""
        for position, column in enumerate(self.columns):
            if column.name in EPOCHS_COLUMNS:
                return int(self.configs[config][position])
        return self.max_epochs

    def finals(self) -> np.ndarray:
        """Return the best score of every training that was not cut by divergence."""
        return np.array(
            [
                max(curve.scores)
                for index, trainings in enumerate(self.curves)
                for curve in trainings
                if len(curve.scores) == self.num_epochs(index)
            ]
        )

    def _place(self, config: Sequence[object]) -> np.ndarray:
        pairs = zip(self.columns, config, strict=True)
        return np.array([math.nan if value is None else column.place(value) for column, value in pairs])


def read_table(path: Path) -> TrainingTable:
    """Read a table: config columns, then seed, epoch, score and seconds.

    Raises:
        DataError: The file cannot be such a table; the error names column and line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the table {str(path)!r} cannot be read: {error}") from None
    if not rows:
        raise DataError(f"the table {str(path)!r} must hold trainings, but has no rows")
    header = list(rows[0])
    missing = [name for name in SCORE_COLUMNS if name not in header]
    if missing:
        raise DataError(f"the table {str(path)!r} must have the columns {', '.join(SCORE_COLUMNS)}, but has {header}")
    for line, row in enumerate(rows, 2):
        if None in row:
            raise DataError(f"line {line} of {str(path)!r} has more values than the table has columns")
    keys = [name for name in header if name not in SCORE_COLUMNS]
    columns = _columns(path, keys, rows)
    trainings: dict[tuple[Any, ...], dict[str, list[tuple[int, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for line, row in enumerate(rows, 2):
        config = tuple(_value(column, row[column.name]) for column in columns)
        epoch, score, seconds = (_number(path, line, name, row[name]) for name in ("epoch", "score", "seconds"))
        trainings[config][row["seed"]].append((int(epoch), score, seconds))
    curves = {config: [_curve(path, config, rows) for rows in seeds.values()] for config, seeds in trainings.items()}
    if len(curves) < 2:
        raise DataError(f"the table {str(path)!r} must hold at least two configs, but has one: nothing to search")
    return TrainingTable(path.stem, columns, curves)


def _columns(path: Path, keys: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[Column]:
    always = [key for key in keys if all(row[key] != "" for row in rows)]
    columns = [_column(key, rows) for key in always]
    for key in keys:
        if key in always:
            continue
        if all(row[key] == "" for row in rows):
            raise DataError(f"the table {str(path)!r} has no {key} in any row; leave the column out")
        column = _column(key, rows)
        for parent in columns:
            used = {_value(parent, row[parent.name]) for row in rows if row[key] != ""}
            unused = {_value(parent, row[parent.name]) for row in rows if row[key] == ""}
            if not used & unused:
                columns.append(Column(key, column.values, column.is_number, parent.name, frozenset(used)))
                break
        else:
            raise DataError(
                f"the table {str(path)!r} has no {key} in {sum(row[key] == '' for row in rows)} of {len(rows)} rows: a "
                "key that only some configs use must be empty by the value of one other column"
            )
    return columns


def _column(key: str, rows: Sequence[Mapping[str, str]]) -> Column:
    texts = {row[key] for row in rows if row[key] != ""}
    try:
        numbers = {float(text) for text in texts}
    except ValueError:
        return Column(key, tuple(sorted(texts)), is_number=False)
    if not all(map(math.isfinite, numbers)):
        return Column(key, tuple(sorted(texts)), is_number=False)
    return Column(key, tuple(sorted(numbers)), is_number=True)


def _value(column: Column, text: str) -> object:
    if text == "":
        return None
    return float(text) if column.is_number else text


def _number(path: Path, line: int, name: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"line {line} of {str(path)!r}: {name} must be a number, but is {text!r}")
    return number


def _curve(path: Path, config: tuple[object, ...], rows: list[tuple[int, float, float]]) -> Curve:
    rows.sort()
    epochs = [epoch for epoch, _, _ in rows]
    if epochs != list(range(1, len(rows) + 1)):
        raise DataError(f"the table {str(path)!r} must have every epoch from 1 on once, but {config} has {epochs}")
    return Curve(tuple(score for _, score, _ in rows), tuple(seconds for _, _, seconds in rows))
