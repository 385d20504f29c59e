"""A sweep as a person declares it: what to search, on what, and for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import RunConfig
from segray.errors import ConfigError
from segray.tuning.space import Space

SearcherName = Literal["tpe", "random"]
SchedulerName = Literal["asha", "none"]

LARGEST_SEED = 2**31 - 1
"""Half of what Optuna's samplers take: a resume adds the number of trials before it."""

LARGEST_RUN_SEED = 2**32 - 1
"""RunConfig's."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What to search, on what, and for how long."""

    name: str
    base: RunConfig
    """The run that every trial starts from"""
    space: Space
    """Module-level function that draws dotted keys of RunConfig"""
    fixed: Sequence[str] = ()
    """Keys of the base that were set for this start, which the space must leave alone"""
    recipe: str = ""
    """Name of the recipe that the base is, a published one or one's own; the first trial is then the base itself"""
    first_trials: Sequence[Mapping[str, Any]] = ()
    """Values of the first trials, after the recipe's; the very first is the baseline that the report compares with"""
    trials: int | None = None
    """Trials in all, over all starts of the sweep"""
    minutes: float | None = None
    """Time for the search in this start; repeats come after it"""
    epochs: int | None = None
    """No trial runs longer"""
    repeats: int = 0
    """Further seeds with which the best trial and the first are trained when the search has come to its end"""
    searcher: SearcherName = "tpe"
    scheduler: SchedulerName = "asha"
    grace_epochs: int = 1
    reduction_factor: float = 3.0
    resources: Resources = field(default_factory=Resources)
    limits: Limits = field(default_factory=Limits)
    storage: str = "runs"
    """Path or pyarrow URL of the folder that holds the sweep's folder"""
    seed: int = 0
    resume: bool = False
    retry_failed: bool = False
    """Whether a resume takes up trials again that have failed"""


def check_values(sweep: Sweep) -> None:
    """Check what can be checked of a sweep without its files.

    Raises:
        ConfigError: A value breaks its rule.
    """
    name = sweep.name
    if not name.strip() or not name.isprintable() or name.startswith(".") or "/" in name:
        raise ConfigError(f"--name must be a folder's name, not begin with '.' and hold no '/', but got {name!r}")
    if sweep.trials is None and sweep.minutes is None:
        raise ConfigError("a sweep needs an end: give --trials or --minutes")
    if sweep.trials is not None and sweep.trials < 1:
        raise ConfigError(f"--trials must be at least 1, but got {sweep.trials}")
    if sweep.retry_failed and not sweep.resume:
        raise ConfigError("--retry-failed takes failed trials of a sweep up again, so it needs --resume")
    if sweep.minutes is not None and not 0 < sweep.minutes < math.inf:
        raise ConfigError(f"--minutes must be above 0, but got {sweep.minutes:g}")
    if sweep.epochs is not None and sweep.epochs < 1:
        raise ConfigError(f"--epochs must be at least 1, but got {sweep.epochs}")
    if sweep.repeats < 0:
        raise ConfigError(f"--repeats must be 0 or more, but got {sweep.repeats}")
    if sweep.base.seed + sweep.repeats > LARGEST_RUN_SEED:
        raise ConfigError(
            f"--repeats must leave seeds up to {LARGEST_RUN_SEED}, but got {sweep.repeats} after seed {sweep.base.seed}"
        )
    if not 0 <= sweep.seed <= LARGEST_SEED:
        raise ConfigError(f"--seed must be from 0 to {LARGEST_SEED}, but got {sweep.seed}")
    if sweep.grace_epochs < 1:
        raise ConfigError(f"grace_epochs must be at least 1, but got {sweep.grace_epochs}")
    if not 1 < sweep.reduction_factor < math.inf:
        raise ConfigError(f"reduction_factor must be above 1, but got {sweep.reduction_factor:g}")
