"""A kind of sampler that ``--sampler`` can name: which Optuna class, with which options, for which spaces."""

from __future__ import annotations

import functools
import inspect
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial
from pydantic import ConfigDict, TypeAdapter, ValidationError

from segray.errors import ConfigError, unknown_name
from segray.tuning.freeze_thaw.belief import Belief
from segray.tuning.space import Draw, SearchedSpace, Space

NEVER_SET = ("seed", "warn_independent_sampling")
"""``--seed`` sets the seed; a warning for each number that is sampled independently would hide segray's own lines."""

SIMPLE_TYPES: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str, "None": type(None)}
"""Types that a command line can give; Optuna's objects and functions are for a sampler that Python code builds."""


@runtime_checkable
class PointSampler(Protocol):
    """A sampler that weighs whole points of the space, with conditional keys."""

    belief: Belief | None
    """Values that are believed to be good"""

    def points(self, study: optuna.Study, space: Space, earlier: Sequence[FrozenTrial]) -> Sequence[Draw]:
        """Return points for the next trial, the most promising first.

        Args:
            study: The study.
            space: What is searched.
            earlier: Trials of earlier sweeps, which the study does not have.
        """

    def is_flat(self, study: optuna.Study, space: Space, earlier: Sequence[FrozenTrial]) -> bool:
        """Return whether nothing more is expected to gain what is worth an epoch."""


def any_space(_: SearchedSpace) -> str:
    """Accept every space."""
    return ""


@dataclass(frozen=True)
class SamplerKind:
    """One kind of sampler."""

    sampler: type[optuna.samplers.BaseSampler]
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Options that differ from Optuna's own defaults"""
    problem: Callable[[SearchedSpace], str] = any_space
    """Returns why the sampler cannot search a space, as the end of a sentence; empty if it can"""
    takes_many: bool = True
    """Whether it searches for several objectives at once"""
    is_renewed: bool = True
    """Whether each trial has a sampler of its own; False for a sampler that goes through one sequence"""
    scheduler: str = "asha"
    """Name of the scheduler of a sweep that names none"""

    def options(self) -> dict[str, type]:
        """Return the options that a command line can give, with their types."""
        parameters = inspect.signature(self.sampler.__init__).parameters.values()
        return {
            parameter.name: _simple_type(parameter.annotation)
            for parameter in parameters
            if parameter.name not in NEVER_SET and _is_simple(parameter.annotation)
        }

    def build(self, name: str, seed: int, options: Mapping[str, object]) -> optuna.samplers.BaseSampler:
        """Build the sampler.

        Args:
            name: Name of the kind, for messages.
            seed: Seed of the sampler's draws.
            options: Values by name of option; an option that is missing has its default.

        Raises:
            ConfigError: An option does not exist, or a value breaks its rule.
        """
        known = self.options()
        for option, value in options.items():
            if option not in known:
                raise ConfigError(unknown_name(f"option of --sampler {name}", option, known))
            _check_type(f"{option} of --sampler {name}", known[option], value)
        given = {**self.defaults, **options, "seed": seed}
        with warnings.catch_warnings():
            # Optuna warns that QMC and options such as TPE's group are experimental: no news for those who name them.
            warnings.simplefilter("ignore", ExperimentalWarning)
            try:
                return self.sampler(**given)
            except (ValueError, TypeError) as error:
                raise ConfigError(f"--sampler {name} refuses its options {dict(options)!r}: {error}") from None


def _is_simple(annotation: object) -> bool:
    # Optuna's modules postpone their annotations, so these are texts such as "int | None".
    return isinstance(annotation, str) and all(part.strip() in SIMPLE_TYPES for part in annotation.split("|"))


def _simple_type(annotation: str) -> type:
    return functools.reduce(operator.or_, (SIMPLE_TYPES[part.strip()] for part in annotation.split("|")))


def _check_type(what: str, wanted: type, value: object) -> None:
    try:
        # Strict, or pydantic would take the text "5" for a number and 1 for a bool.
        TypeAdapter(wanted, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"{what}: {error.errors()[0]['msg'].lower()}, but got {value!r}") from None
