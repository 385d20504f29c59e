"""Samplers: they propose the values of trials. One file each; ``SAMPLERS`` holds them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import optuna

from segray.errors import ConfigError, unknown_name
from segray.goals import Goals
from segray.tuning.samplers.cmaes import CMAES
from segray.tuning.samplers.freeze_thaw import FREEZE_THAW
from segray.tuning.samplers.gp import GP
from segray.tuning.samplers.grid import GRID
from segray.tuning.samplers.kind import SamplerKind
from segray.tuning.samplers.nsga2 import NSGA2
from segray.tuning.samplers.qmc import QMC
from segray.tuning.samplers.random import RANDOM
from segray.tuning.samplers.tpe import TPE
from segray.tuning.space import SearchedSpace

SAMPLERS: dict[str, SamplerKind] = {
    "freeze_thaw": FREEZE_THAW,
    "tpe": TPE,
    "random": RANDOM,
    "gp": GP,
    "cmaes": CMAES,
    "nsga2": NSGA2,
    "qmc": QMC,
    "grid": GRID,
}
"""Name for ``--sampler`` -> kind of sampler."""

DEFAULT_SAMPLER: Final = "freeze_thaw"
"""The sampler of a sweep that names none"""

Sampler = str | optuna.samplers.BaseSampler
"""A name of ``SAMPLERS``, or an Optuna sampler that Python code has built."""


def make_sampler(
    sampler: Sampler, seed: int, options: Mapping[str, object] = MappingProxyType({})
) -> optuna.samplers.BaseSampler:
    """Return the Optuna sampler of a name, or the sampler itself where one is given.

    Args:
        sampler: Name or object.
        seed: Seed of a sampler that is given by name.
        options: Options of a sampler that is given by name.

    Raises:
        ConfigError: The name or an option does not exist, or a value breaks its rule.
    """
    if not isinstance(sampler, str):
        if options:
            raise ConfigError(
                f"sampler options need a sampler that is given by name, but this study builds its own "
                f"{sampler_name(sampler)}; set them there"
            )
        return sampler
    return _kind(sampler).build(sampler, seed, options)


def samplers_by_trial(
    sampler: Sampler, seed: int, options: Mapping[str, object] = MappingProxyType({})
) -> Callable[[int], optuna.samplers.BaseSampler]:
    """Return a function that gives a trial its sampler, by the trial's number in the study.

    Each trial has a seed of its own, so a resumed search draws what an unbroken one would. A sampler that Python code
    has built, and one that goes through one sequence, is the same for all trials.

    Args:
        sampler: Name or object.
        seed: Seed of the search.
        options: Options of a sampler that is given by name.

    Raises:
        ConfigError: As ``make_sampler``.
    """
    same = make_sampler(sampler, seed, options)
    if not isinstance(sampler, str) or not _kind(sampler).is_renewed:
        return lambda _: same
    return lambda number: make_sampler(sampler, _seed_of(seed, number), options)


def _seed_of(seed: int, number: int) -> int:
    # Searches whose seeds are neighbours share no trial's seed.
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def check_sampler(
    sampler: Sampler, options: Mapping[str, object], space: SearchedSpace, scheduler: str, goals: Goals
) -> None:
    """Check that a sampler can search a space for the goals, beside a scheduler.

    Raises:
        ConfigError: It cannot, or the sampler itself cannot be made.
    """
    make_sampler(sampler, 0, options)
    # An empty space, as of a single run, has nothing to search that a sampler could refuse.
    if isinstance(sampler, str) and space.distributions and (problem := _kind(sampler).problem(space)):
        others = [name for name, kind in SAMPLERS.items() if not kind.problem(space)]
        raise ConfigError(f"--sampler {sampler} {problem}; change the space, or use one of {', '.join(others)}")
    if goals.others and isinstance(sampler, str) and not _kind(sampler).takes_many:
        fitting = [name for name, kind in SAMPLERS.items() if kind.takes_many]
        raise ConfigError(
            f"--sampler {sampler} searches for one objective, but this sweep has {len(goals.objectives)}; use one of "
            f"{', '.join(fitting)}"
        )
    if goals.others and scheduler == "freeze_thaw" and sampler != "freeze_thaw":
        raise ConfigError(
            "--scheduler freeze_thaw with several objectives needs --sampler freeze_thaw, since Optuna's samplers keep "
            "no scores of epochs then; leave --scheduler out, or use that sampler"
        )


def sampler_name(sampler: Sampler) -> str:
    """Return the name under which a sweep records its sampler: that of ``SAMPLERS``, or the object's class."""
    return sampler if isinstance(sampler, str) else type(sampler).__name__


def own_scheduler(sampler: Sampler) -> str:
    """Return the scheduler of a sweep that names none, by the sampler's name or class.

    Raises:
        ConfigError: There is no sampler of that name.
    """
    if isinstance(sampler, str):
        return _kind(sampler).scheduler
    # A sampler of Optuna's that no kind has stops trials as most kinds do.
    return next((kind.scheduler for kind in SAMPLERS.values() if isinstance(sampler, kind.sampler)), "asha")


def _kind(name: str) -> SamplerKind:
    if name not in SAMPLERS:
        raise ConfigError(unknown_name("--sampler", name, SAMPLERS))
    return SAMPLERS[name]
