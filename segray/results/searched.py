"""SearchedKey: what a sweep varied, and how its values are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from segray import text

Kind = Literal["choice", "linear", "log"]

MAX_CHOICES = 6
"""Numbers that take at most so many values, each at least twice on average, are compared as choices: batch sizes."""
LOG_RATIO = 10.0
"""Positive numbers whose largest is more than so many times the smallest are read on a log scale."""


@dataclass(frozen=True)
class SearchedKey:
    """A dotted config key that the sweep searched."""

    key: str
    label: str
    """Short name, such as ``encoder`` for ``model.encoder``"""
    kind: Kind
    """How its values compare: as choices, or as numbers on a linear or log scale"""

    def is_drawn(self, trial: Mapping[Any, Any]) -> bool:
        """Whether a trial, a row of the trials frame, drew it; else its config has the base's value, unused."""
        return self.key in trial["drawn"]

    def shown(self, trial: Mapping[Any, Any]) -> str:
        """The value that a trial drew as a person reads it; a dash where it drew none."""
        return text.value(trial[self.key]) if self.is_drawn(trial) else text.MISSING


def searched_keys(values: Mapping[str, Sequence[Any]]) -> tuple[SearchedKey, ...]:
    """Searched keys with short labels and kinds.

    Args:
        values: Dotted key -> the values that trials drew, at least one.
    """
    labels = short_labels(values)
    return tuple(SearchedKey(key, labels[key], _kind(column)) for key, column in values.items())


def short_labels(keys: Iterable[str]) -> dict[str, str]:
    """Dotted key -> the shortest of its parts that is clear; the whole key where two would read alike.

    ``model.encoder`` is ``encoder``, and ``loss.name`` is ``loss``.
    """
    short = {key: _short(key) for key in keys}
    count = Counter(short.values())
    return {key: label if count[label] == 1 else key for key, label in short.items()}


def _short(key: str) -> str:
    parts = key.split(".")
    return text.words(parts[-2] if parts[-1] == "name" and len(parts) > 1 else parts[-1])


def _kind(values: Sequence[Any]) -> Kind:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    few = len(set(numbers)) <= min(MAX_CHOICES, len(numbers) / 2)
    if few or len(numbers) < len(values):
        return "choice"
    return "log" if min(numbers) > 0 and max(numbers) / min(numbers) > LOG_RATIO else "linear"
