"""The search space of a sweep: an Optuna define-by-run function over dotted keys of RunConfig."""

from __future__ import annotations

import json
import math
import traceback
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from segray.errors import ConfigError, SegrayError
from segray.foreign import is_unicode
from segray.values import Values

# Lists are safe: the study is stored as JSON, and segray only passes choices that JSON does not change.
warnings.filterwarnings("ignore", "Choices for a categorical distribution should be")

Distribution = optuna.distributions.BaseDistribution

Choice = Any
"""A value of a space: what Optuna takes, and lists, which its annotations leave out"""

Space = Callable[[optuna.Trial], Mapping[str, Choice] | None]
"""A function that draws dotted RunConfig keys with ``trial.suggest_*``; it may return values that follow from them."""

EPOCHS_KEY = "train.epochs"

STEPS = " in steps of "

TOLERANCE = 1e-8
"""Share of a step by which rounding may move a number off the grid of a stepped distribution."""


class CappedSpace:
    """A space in which no trial draws or returns more epochs than the sweep allows."""

    def __init__(self, space: Space, max_epochs: int) -> None:
        self._space, self._max_epochs = space, max_epochs

    def __call__(self, trial: optuna.Trial) -> Mapping[str, Choice] | None:
        """Draw from the space."""
        further = self._space(_CappedTrial(trial, self._max_epochs))  # type: ignore[arg-type]
        if not further or EPOCHS_KEY not in further:
            return further
        return {**further, EPOCHS_KEY: min(int(further[EPOCHS_KEY]), self._max_epochs)}


class _CappedTrial:
    def __init__(self, trial: optuna.Trial, max_epochs: int) -> None:
        self._trial, self._max_epochs = trial, max_epochs

    def __getattr__(self, name: str) -> object:
        return getattr(self._trial, name)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if name == EPOCHS_KEY:
            high = min(high, self._max_epochs)
            # The whole range may lie above the cap.
            low = min(low, high)
        return int(self._trial.suggest_int(name, low, high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Choice:
        if name == EPOCHS_KEY:
            # All choices above the cap become the cap, which must be one choice.
            choices = sorted({min(choice, self._max_epochs) for choice in choices})
        return self._trial.suggest_categorical(name, choices)


@dataclass(frozen=True)
class Draw:
    """The values of one trial, as JSON keeps them."""

    drawn: dict[str, object]
    distributions: dict[str, Distribution]
    """Distributions of the drawn values"""
    further: dict[str, object]
    """Values that the space returned because of the drawn ones"""

    @property
    def values(self) -> dict[str, object]:
        """All values under dotted keys; a returned value replaces a drawn one of the same key."""
        return {**self.drawn, **self.further}


@dataclass(frozen=True)
class SearchedSpace:
    """A space as its samples show it."""

    distributions: Mapping[str, Distribution]
    """Every searched key with its distribution"""
    always: frozenset[str]
    """The keys that every sample drew"""

    def numbers(self) -> list[str]:
        """Return the number keys with more than one value that every trial draws."""
        return [key for key in self._number_keys() if key in self.always]

    def endless(self) -> list[str]:
        """Return the number keys with endlessly many values, because their distribution has no step."""
        return [key for key in self._number_keys() if getattr(self.distributions[key], "step", None) is None]

    def _number_keys(self) -> list[str]:
        return [
            key
            for key, distribution in self.distributions.items()
            if not isinstance(distribution, optuna.distributions.CategoricalDistribution) and not distribution.single()
        ]


def draw_from(space: Space, trial: optuna.Trial) -> Draw:
    """Call a space with a trial.

    The space may use tuples and numpy numbers. The study, the trials' files and a resume only see the values that
    JSON makes of them.

    Raises:
        ConfigError: The space has a mistake, whose line is named, or a value that cannot be kept in JSON.
    """
    try:
        further = space(_PlainTrial(trial)) or {}  # type: ignore[arg-type]
    except SegrayError:
        raise
    except Exception as error:
        raise ConfigError(f"the search space cannot be drawn: {_of_study(error)}") from None
    if not isinstance(further, Mapping):
        raise ConfigError(
            "the search space must return nothing, or a dict of config keys that follow from the drawn ones, but "
            f"returned {further!r}"
        )
    return Draw(trial.params, trial.distributions, plain_point(further))


class _PlainTrial:
    """A trial that takes choices and bounds in plain form, and returns the space's own objects."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def __getattr__(self, name: str) -> object:
        return getattr(self._trial, name)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        bounds = [_whole(name, bound) for bound in (low, high, step)]
        return int(self._trial.suggest_int(name, bounds[0], bounds[1], step=bounds[2], log=log))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if step is not None:
            _check_steps(name, low, high, step)
        return float(self._trial.suggest_float(name, low, high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Iterable[Choice]) -> Choice:
        # A text would be taken for its letters, and the order of a set changes from process to process.
        if isinstance(choices, str | bytes | set | frozenset):
            raise ConfigError(f"{name} in the search space: choices must be a list, but got {choices!r}")
        own = list(choices)
        kept = [plain(name, choice) for choice in own]
        _check_distinct(name, kept)
        # The space may compare with its own objects, such as tuples, so it does not get the lists.
        return own[kept.index(self._trial.suggest_categorical(name, kept))]


def plain(key: str, value: object) -> Choice:
    """Return a value as JSON keeps it: tuples and arrays as lists, numpy numbers as Python's.

    Args:
        key: The dotted key that the value is for.
        value: A value of a space or a first trial.

    Raises:
        ConfigError: JSON cannot keep the value.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    # Before numbers, since True is an int in Python.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and is_unicode(value):
        # A subclass, such as a StrEnum, would be read back as plain text.
        return str.__str__(value)
    if isinstance(value, list | tuple):
        return [plain(key, item) for item in value]
    raise ConfigError(
        f"{key} in the search space: a value must be None, a bool, a finite number, text, or a list of these, or a "
        f"resume cannot read it back, but got {value!r} ({type(value).__name__}); write it as one of these"
    )


def plain_point(values: Values) -> dict[str, object]:
    """Return values under dotted keys as JSON keeps them.

    Raises:
        ConfigError: JSON cannot keep one of them.
    """
    return {key: plain(key, value) for key, value in values.items()}


def _whole(name: str, bound: float) -> int:
    if int(bound) != bound:
        raise ConfigError(f"{name} in the search space: bounds of suggest_int must be whole numbers, but got {bound!r}")
    return int(bound)


def _check_steps(name: str, low: float, high: float, step: float) -> None:
    """Refuse steps whose highest value is lost: Optuna adds in decimals, and a sum of many digits falls short."""
    made = optuna.distributions.FloatDistribution
    with warnings.catch_warnings(action="ignore"):
        kept = made(low, high, step=step)
        # Reading the study makes the distribution again.
        kept = made(kept.low, kept.high, step=step)
    if round((kept.high - kept.low) / step) < math.floor((high - low) / step + TOLERANCE):
        raise ConfigError(
            f"{name} in the search space: the ends of a range in steps must have fewer digits, or its highest value is "
            f"lost, but got {low!r} to {high!r} in steps of {step!r}; round them, such as to {low:.6g}"
        )


def _check_distinct(name: str, choices: Sequence[object]) -> None:
    """Refuse choices such as 1 and True: Optuna cannot tell them apart, and would store one and train the other."""
    first: dict[Hashable, object] = {}
    for choice in choices:
        other = first.setdefault(_hashable(choice), choice)
        if other is not choice and json.dumps(other) != json.dumps(choice):
            raise ConfigError(
                f"{name} in the search space: choices must differ, but {other!r} equals {choice!r}; leave one out"
            )


def _hashable(choice: object) -> Hashable:
    return tuple(map(_hashable, choice)) if isinstance(choice, list) else choice


def describe(distribution: Distribution) -> str:
    """Return a distribution in words."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return "one of " + ", ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, (optuna.distributions.IntDistribution, optuna.distributions.FloatDistribution))
    is_whole = isinstance(distribution, optuna.distributions.IntDistribution)
    kind, usual_step = ("whole number", 1) if is_whole else ("number", None)
    log = ", log scale" if distribution.log else ""
    steps = f"{STEPS}{distribution.step:g}" if distribution.step != usual_step else ""
    return f"{kind} from {distribution.low:g} to {distribution.high:g}{log}{steps}"


def contains(distribution: Distribution, value: object) -> bool:
    """Return whether a distribution can give a value."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, (optuna.distributions.IntDistribution, optuna.distributions.FloatDistribution))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    if not distribution.low <= value <= distribution.high:
        return False
    steps = (value - distribution.low) / distribution.step if distribution.step else 0.0
    return abs(steps - round(steps)) < TOLERANCE


def _of_study(error: Exception) -> str:
    """Return an error with the line of the study that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    # Optuna raises below segray's trial, which the study has called.
    libraries = (str(Path(__file__).parents[1]), str(Path(optuna.__file__).parent))
    own = [frame for frame in frames if not frame.filename.startswith(libraries)] or frames
    return f"{type(error).__name__}: {error} ({own[-1].filename}, line {own[-1].lineno})"
