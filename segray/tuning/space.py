"""What a sweep searches: an Optuna define-by-run function over dotted keys of RunConfig."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna

Space = Callable[[optuna.Trial], Mapping[str, Any] | None]
"""Draws dotted RunConfig keys with ``trial.suggest_*``; may return further values that follow from them."""

EPOCHS_KEY = "train.epochs"


class CappedSpace:
    """A space in which no trial draws or returns more epochs than the sweep allows."""

    def __init__(self, space: Space, max_epochs: int) -> None:
        self._space, self._max_epochs = space, max_epochs

    def __call__(self, trial: optuna.Trial) -> Mapping[str, Any] | None:
        """Draw from the space."""
        further = self._space(_CappedTrial(trial, self._max_epochs))  # type: ignore[arg-type]
        if not further or EPOCHS_KEY not in further:
            return further
        return {**further, EPOCHS_KEY: min(int(further[EPOCHS_KEY]), self._max_epochs)}


class _CappedTrial:
    def __init__(self, trial: optuna.Trial, max_epochs: int) -> None:
        self._trial, self._max_epochs = trial, max_epochs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def suggest_int(self, name: str, low: int, high: int, **options: Any) -> int:
        if name == EPOCHS_KEY:
            high = min(high, self._max_epochs)
            low = min(low, high)
        return int(self._trial.suggest_int(name, low, high, **options))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name == EPOCHS_KEY:
            choices = sorted({min(choice, self._max_epochs) for choice in choices})
        return self._trial.suggest_categorical(name, choices)
