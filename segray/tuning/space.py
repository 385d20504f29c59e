"""What a sweep searches: an Optuna define-by-run function over dotted keys of RunConfig."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna

from segray.errors import ConfigError, SegrayError

Distribution = optuna.distributions.BaseDistribution

Space = Callable[[optuna.Trial], Mapping[str, Any] | None]
"""Draws dotted RunConfig keys with ``trial.suggest_*``; may return further values that follow from them."""

EPOCHS_KEY = "train.epochs"

TOLERANCE = 1e-8
"""Of a step: how far from the grid of a stepped distribution rounding may put a number."""


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


def draw_from(space: Space, trial: optuna.Trial) -> Mapping[str, Any]:
    """Call a space with a trial; returns the values that follow from the drawn ones.

    Raises:
        ConfigError: The space has a mistake; its line is named.
    """
    try:
        return space(trial) or {}
    except SegrayError:
        raise
    except Exception as error:
        raise ConfigError(f"the search space cannot be drawn: {_of_study(error)}") from None


def describe(distribution: Distribution) -> str:
    """A distribution in words."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return "one of " + ", ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, (optuna.distributions.IntDistribution, optuna.distributions.FloatDistribution))
    kind = "whole number" if isinstance(distribution, optuna.distributions.IntDistribution) else "number"
    log = ", log scale" if distribution.log else ""
    return f"{kind} from {distribution.low:g} to {distribution.high:g}{log}"


def contains(distribution: Distribution, value: Any) -> bool:
    """Whether a distribution can give a value."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, (optuna.distributions.IntDistribution, optuna.distributions.FloatDistribution))
    if not isinstance(value, (int, float)) or not distribution.low <= value <= distribution.high:
        return False
    steps = (value - distribution.low) / distribution.step if distribution.step else 0.0
    return abs(steps - round(steps)) < TOLERANCE


def _of_study(error: Exception) -> str:
    """An error, and the line of the study that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename]
    return f"{type(error).__name__}: {error} ({own[-1].filename}, line {own[-1].lineno})"
