"""The goals of a sweep: one or more objectives, and constraints that a trial must meet."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from segray.errors import ConfigError, unknown_name
from segray.objective import MIOU, PROPERTIES, Objective, find_objective

PEAK_MEMORY: Final = "peak_memory_mb"
"""The property that only training tells"""

_RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_CONSTRAINT: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Constraint:
    """A bound on a property; a trial that breaks it is infeasible."""

    name: str
    """A name of ``PROPERTIES``"""
    relation: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:.12g}"

    def is_met(self, value: float) -> bool:
        """Return whether a value of the property meets the constraint."""
        return _RELATIONS[self.relation](value, self.bound)

    def describe_break(self, value: float) -> str:
        """Return a sentence on a value that breaks the constraint."""
        shown = find_objective(self.name).shown
        return f"{self.name} must be {self.relation} {shown(self.bound)}, but is {shown(value)}"


@dataclass(frozen=True)
class Goals:
    """The objectives and constraints of a sweep."""

    objectives: tuple[Objective, ...] = (MIOU,)
    """The first one is a score of the validation: the best epoch and early stopping follow it"""
    constraints: tuple[Constraint, ...] = ()

    @property
    def main(self) -> Objective:
        """The objective that each epoch is judged by."""
        return self.objectives[0]

    @property
    def others(self) -> tuple[Objective, ...]:
        """The objectives after the main one."""
        return self.objectives[1:]

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties that a trial must measure, each once."""
        asked = {item.name for item in self.objectives} | {item.name for item in self.constraints}
        return tuple(name for name in PROPERTIES if name in asked)

    def broken(self, found: Mapping[str, float | None]) -> str:
        """Return which constraints the known properties break, as a sentence; empty if none."""
        values = [(constraint, found.get(constraint.name)) for constraint in self.constraints]
        return "; ".join(
            constraint.describe_break(value)
            for constraint, value in values
            if value is not None and not constraint.is_met(value)
        )

    def dominates(self, first: Sequence[float | None], second: Sequence[float | None]) -> bool:
        """Return whether a point is at least as good as another in every objective, and better in one.

        Args:
            first: One value per objective; None, for a value that is missing, is worse than all others.
            second: As ``first``.
        """
        ranks = [(o.rank(a), o.rank(b)) for o, a, b in zip(self.objectives, first, second, strict=True)]
        return all(a >= b for a, b in ranks) and any(a > b for a, b in ranks)


DEFAULT_GOALS: Final = Goals()
"""The goals of a sweep that names none"""


def find_goals(objectives: Sequence[str | Objective], constraints: Sequence[str] = ()) -> Goals:
    """Return the goals of a declaration.

    Args:
        objectives: Names or objectives, the main one first.
        constraints: Texts such as ``latency_ms <= 30``.

    Raises:
        ConfigError: There is no objective, one is given twice, no record has one, or the first is no score of the
            validation; a constraint has another form or does not bound a property.
    """
    for name, given in (("objectives", objectives), ("constraints", constraints)):
        if isinstance(given, str | Objective):
            raise ConfigError(f"{name} must be a list, such as [{given!r}], but got {given!r}")
    found = tuple(find_objective(asked) for asked in objectives)
    if not found:
        raise ConfigError(f"a sweep needs an objective, such as {MIOU.name}, but the list of objectives is empty")
    names = [objective.name for objective in found]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ConfigError(f"--objective must name each objective once, but names {twice} twice; leave one out")
    if found[0].is_property:
        raise ConfigError(
            f"the first --objective must be a score of the validation, such as {MIOU.name}, because the best epoch and "
            f"early stopping follow it, but it is {names[0]}; give {names[0]} after it"
        )
    return Goals(found, tuple(_constraint(given) for given in constraints))


def _constraint(given: str) -> Constraint:
    form = "latency_ms <= 30"
    match = _CONSTRAINT.fullmatch(given)
    if match is None:
        raise ConfigError(f"--constraint must be PROPERTY <= NUMBER, such as '{form}', but got {given!r}")
    name, relation, bound = match.groups()
    if name not in PROPERTIES:
        hint = "; a score is only known at a trial's end, so make it an --objective" if name.startswith("val_") else ""
        raise ConfigError(unknown_name("property in --constraint", name, PROPERTIES) + hint)
    try:
        number = float(bound)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"--constraint must bound {name} by a number, as in '{form}', but got {given!r}")
    return Constraint(name, relation, number)
