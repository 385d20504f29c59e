"""SearchedKey: a config key that a sweep searched, and the way to compare its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from segray import text

Kind = Literal["choice", "linear", "log"]

Row = Mapping[Any, Any]
"""A row of a frame as a mapping: column -> value"""

MAX_CHOICES = 6
"""Most distinct numbers that are compared as choices, such as batch sizes, if each occurs at least twice on average."""
LOG_RATIO = 10.0
"""Ratio of largest to smallest number above which positive numbers are shown on a log scale."""


@dataclass(frozen=True)
class SearchedKey:
    """A dotted config key that the sweep searched."""

    key: str
    label: str
    """Short name, such as ``encoder`` for ``model.encoder``"""
    kind: Kind
    """Comparison of values: as choices, or as numbers on a linear or log scale"""

    def is_drawn(self, trial: Row) -> bool:
        """Return whether a trial (a row of the trials frame) drew the key; otherwise the base's value is unused."""
        return self.key in trial["drawn"]

    def shown(self, trial: Row) -> str:
        """Return the value that a trial drew, as text for a person; a dash if the trial drew none."""
        return text.value(trial[self.key]) if self.is_drawn(trial) else text.MISSING


def searched_keys(values: Mapping[str, Sequence[object]]) -> tuple[SearchedKey, ...]:
    """Return the searched keys with short labels and kinds.

    Args:
        values: Dotted key -> the values that trials drew, at least one.
    """
    labels = short_labels(values)
    return tuple(SearchedKey(key, labels[key], _kind(column)) for key, column in values.items())


def short_labels(keys: Iterable[str]) -> dict[str, str]:
    """Return dotted key -> its shortest clear part; the whole key if two labels would be the same.

    ``model.encoder`` becomes ``encoder``, and ``loss.name`` becomes ``loss``.
    """
    short = {key: _short(key) for key in keys}
    count = Counter(short.values())
    return {key: label if count[label] == 1 else key for key, label in short.items()}


def _short(key: str) -> str:
    parts = key.split(".")
    # The last part of loss.name would not say whether a loss, a model or an optimiser is meant.
    return text.words(parts[-2] if parts[-1] == "name" and len(parts) > 1 else parts[-1])


def _kind(values: Sequence[object]) -> Kind:
    # Python counts True and False as integers; here they are choices.
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    few = len(set(numbers)) <= min(MAX_CHOICES, len(numbers) / 2)
    # Numbers mixed with None, lists or text have no common scale.
    if few or len(numbers) < len(values):
        return "choice"
    return "log" if min(numbers) > 0 and max(numbers) / min(numbers) > LOG_RATIO else "linear"
