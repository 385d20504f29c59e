"""The declaration of a sweep: what to search, on which data, and for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import RunConfig
from segray.errors import ConfigError, unknown_name
from segray.goals import Goals, find_goals
from segray.objective import MIOU, Objective
from segray.option import Option
from segray.records import Lineage
from segray.tuning.callbacks import DEFAULT_CALLBACKS, Callback, make_callbacks
from segray.tuning.options import CALLBACK, CONSTRAINT, OBJECTIVES, RESUME, RETRY_FAILED, STORAGE, WARM_START
from segray.tuning.samplers import DEFAULT_SAMPLER, SAMPLERS, Sampler, make_sampler, own_scheduler, sampler_name
from segray.tuning.samplers.kind import PointSampler
from segray.tuning.schedulers import DEFAULT_REDUCTION_FACTOR, SCHEDULERS, StoppingSettings, find_scheduler
from segray.tuning.space import Space
from segray.values import Values

LARGEST_SEED = 2**31 - 1
"""Half of what Optuna's samplers take."""

LARGEST_RUN_SEED = 2**32 - 1
"""The largest seed of a RunConfig."""

DEFAULT_STORAGE = "runs"

RACE_SEEDS = 5
"""Most further seeds of a race that names no number: the last ones tell little more, and each costs a training."""
FIRST_TRIALS = ("given", "plan")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A declaration of what to search, on which data, and for how long."""

    name: Annotated[str, Option("Name of the sweep and of its folder")]
    base: RunConfig
    """The run that every trial starts from"""
    space: Space
    """Module-level function that draws dotted keys of RunConfig"""
    fixed: Sequence[str] = ()
    """Keys of the base that were set for this start; the space must not decide them"""
    recipe: str = ""
    """Name of the recipe, published or one's own, that the base holds; the first trial is then the base itself"""
    lineage: Sequence[Lineage] = ()
    """The trained models that config and first weights come from"""
    first_trials: Sequence[Values] = ()
    """Values of the first trials, after the recipe's; the very first is the baseline that the report compares with"""
    first_trial: Annotated[
        str,
        Option(
            "plan: also try crop, depth, batch and epochs that follow from the data and memory",
            metavar=f"[{'|'.join(FIRST_TRIALS)}]",
        ),
    ] = "given"
    """``given``, or ``plan`` for a trial more, whose values at some keys follow from data and memory"""
    warm_start: Annotated[Sequence[str], WARM_START] = ()
    """Paths or URLs of earlier sweeps, and ``PORTFOLIO_NAME``"""
    objectives: Annotated[Sequence[str | Objective], OBJECTIVES] = (MIOU.name,)
    """Numbers of the epochs' records; a name stands for its usual direction. The best epoch and early stopping follow
    the first, which is a score of the validation"""
    constraints: Annotated[Sequence[str], CONSTRAINT] = ()
    """Bounds on properties, such as ``latency_ms <= 30``; a trial that breaks one ends before its first epoch"""
    trials: Annotated[int | None, Option("Number of trials, over all starts")] = None
    """Trials in all, over all starts of the sweep"""
    minutes: Annotated[
        float | None, Option("Time budget of this start's search; given alone, as many trials as fit")
    ] = None
    """Time for the search in this start; repeats come after it"""
    epochs: Annotated[int | None, Option("Epochs of the longest trial")] = None
    """No trial runs longer"""
    repeats: Annotated[
        int | None, Option("Further seeds for the best and the first trial after the search; not in --minutes")
    ] = None
    """Further seeds with which the best trial and the first are trained when the search has ended; None for none, or
    for ``RACE_SEEDS`` if there is a race"""
    confirm: Annotated[
        int,
        Option(f"Best trials to race the first over --repeats seeds (default {RACE_SEEDS}); clearly worse ones leave"),
    ] = 0
    """Number of best trials that race the first trial over the further seeds; a clearly worse one leaves the race"""
    contestants: Sequence[Values] = ()
    """Values of the trials to race, for a start that searches nothing more"""
    seed: Annotated[int, Option("Seed of the search")] = 0
    sampler: Annotated[
        Sampler | None,
        Option(
            f"Who proposes trials; by default {DEFAULT_SAMPLER}",
            older_name="--searcher",
            metavar=f"[{'|'.join(SAMPLERS)}]",
            type=str,
        ),
    ] = None
    """A name of ``SAMPLERS``, or an Optuna sampler; an object has its own seed and options. None for the default"""
    sampler_options: Annotated[
        Mapping[str, object],
        Option(
            "An option of Optuna's sampler, such as n_startup_trials=5; may be repeated",
            name="--sampler-option",
            metavar="NAME=VALUE",
            type=list[str],
        ),
    ] = field(default_factory=dict)
    scheduler: Annotated[
        str | None,
        Option("Who stops or pauses trials; by default the sampler's own", metavar=f"[{'|'.join(SCHEDULERS)}]"),
    ] = None
    """A name of ``SCHEDULERS``; None for the sampler's own: freeze_thaw for the sampler of that name, else asha"""
    # Epoch 1 is a weak judge: its rank correlation with the last was 0.24 on one data set, and 0.68 on another. A rung
    # at a third of the schedule was the best fixed one on the first, but would be the worst on the second.
    grace_epochs: Annotated[
        int | None,
        Option(
            "Epochs of the longest trial before which none stops, shorter ones in proportion (asha, hyperband, "
            "median); by default learned"
        ),
    ] = None
    """The first rung; None lets the first trials run to their ends, and then takes the place where ranks agree"""
    reduction_factor: Annotated[
        float | None,
        Option(
            f"One in so many trials goes on at each rung (asha, hyperband); by default {DEFAULT_REDUCTION_FACTOR:g}"
        ),
    ] = None
    """None for the default"""
    prior: Annotated[
        Mapping[str, object],
        Option(
            "A value that you believe is good; may be repeated, and adds to the first trial's (freeze_thaw)",
            metavar="KEY=VALUE",
            type=list[str],
        ),
    ] = field(default_factory=dict)
    """Dotted key -> believed value: freeze_thaw leans towards it at first, and less with each trial"""
    stop_when_flat: Annotated[
        bool, Option("End the search when no config is expected to gain enough (freeze_thaw)")
    ] = False
    """Whether the search ends before its budget when its sampler expects no gain from any config"""
    callbacks: Annotated[Sequence[str | Callback], CALLBACK] = DEFAULT_CALLBACKS
    """Names of ``CALLBACKS``, or callbacks of one's own"""
    resources: Resources = field(default_factory=Resources)
    limits: Limits = field(default_factory=Limits)
    storage: Annotated[str, STORAGE] = DEFAULT_STORAGE
    """Path or pyarrow URL of the folder that holds the sweep's folder"""
    resume: Annotated[bool, RESUME] = False
    retry_failed: Annotated[bool, RETRY_FAILED] = False
    """Whether a resume takes up failed trials again"""

    @property
    def goals(self) -> Goals:
        """The objectives and constraints.

        Raises:
            ConfigError: One of them breaks its rule.
        """
        return find_goals(self.objectives, self.constraints)

    @property
    def chosen_sampler(self) -> Sampler:
        """The sampler, given or the default."""
        return DEFAULT_SAMPLER if self.sampler is None else self.sampler

    @property
    def chosen_scheduler(self) -> str:
        """The name of the scheduler, given or the sampler's own."""
        return own_scheduler(self.chosen_sampler) if self.scheduler is None else self.scheduler

    @property
    def chosen_reduction_factor(self) -> float:
        """The reduction factor, given or the default."""
        return DEFAULT_REDUCTION_FACTOR if self.reduction_factor is None else self.reduction_factor

    @property
    def num_seeds(self) -> int:
        """The number of further seeds of a repeated trial; in a race, the most."""
        if self.repeats is None:
            return RACE_SEEDS if self.confirm else 0
        return self.repeats

    def stopping(self, max_epochs: int) -> StoppingSettings:
        """Return what a scheduler may depend on, for a sweep in which no trial runs longer than ``max_epochs``."""
        return StoppingSettings(
            max_epochs=max_epochs,
            grace_epochs=self.grace_epochs,
            reduction_factor=self.chosen_reduction_factor,
            seed=self.seed,
            objective=self.goals.main,
        )


def check_values(sweep: Sweep) -> None:
    """Check what can be checked of a sweep without its files.

    Raises:
        ConfigError: A value breaks its rule.
    """
    name = sweep.name
    if not name.strip() or not name.isprintable() or name.startswith(".") or "/" in name:
        raise ConfigError(f"--name must be a plain folder name: no '/', no leading '.'; but got {name!r}")
    if sweep.trials is None and sweep.minutes is None:
        raise ConfigError("a sweep needs an end: give --trials or --minutes")
    if sweep.trials is not None and sweep.trials < 1:
        raise ConfigError(f"--trials must be at least 1, but got {sweep.trials}")
    if sweep.base.data.all_data and (sweep.trials != 1 or sweep.num_seeds):
        raise ConfigError(
            "data.all_data trains on the validation images, so their scores must not choose between trials, but this "
            "is a sweep; leave it out here, and train the winner on all data with segray train --from RUN --all-data"
        )
    if sweep.retry_failed and not sweep.resume:
        raise ConfigError("--retry-failed takes failed trials of a sweep up again, so it needs --resume")
    if sweep.minutes is not None and not 0 < sweep.minutes < math.inf:
        raise ConfigError(f"--minutes must be above 0, but got {sweep.minutes:g}")
    if sweep.epochs is not None and sweep.epochs < 1:
        raise ConfigError(f"--epochs must be at least 1, but got {sweep.epochs}")
    if sweep.num_seeds < 0:
        raise ConfigError(f"--repeats must be 0 or more, but got {sweep.num_seeds}")
    if sweep.confirm < 0:
        raise ConfigError(f"--confirm must be 0 or more, but got {sweep.confirm}")
    if sweep.base.seed + sweep.num_seeds > LARGEST_RUN_SEED:
        raise ConfigError(
            f"--repeats must leave seeds up to {LARGEST_RUN_SEED}, but got {sweep.num_seeds} after seed "
            f"{sweep.base.seed}"
        )
    if not 0 <= sweep.seed <= LARGEST_SEED:
        raise ConfigError(f"--seed must be from 0 to {LARGEST_SEED}, but got {sweep.seed}")
    if sweep.grace_epochs is not None and sweep.grace_epochs < 1:
        raise ConfigError(f"--grace-epochs must be at least 1, but got {sweep.grace_epochs}")
    if not 1 < sweep.chosen_reduction_factor < math.inf:
        raise ConfigError(f"--reduction-factor must be above 1, but got {sweep.chosen_reduction_factor:g}")
    if sweep.first_trial not in FIRST_TRIALS:
        raise ConfigError(unknown_name("--first-trial", sweep.first_trial, FIRST_TRIALS))
    find_goals(sweep.objectives, sweep.constraints)
    find_scheduler(sweep.chosen_scheduler)
    make_callbacks(sweep.callbacks)
    sampler = make_sampler(sweep.chosen_sampler, sweep.seed, sweep.sampler_options)
    if isinstance(sweep.warm_start, str):
        raise ConfigError(f"warm_start must be a list, such as [{sweep.warm_start!r}], but got {sweep.warm_start!r}")
    if (sweep.prior or sweep.stop_when_flat) and not isinstance(sampler, PointSampler):
        option = "--prior" if sweep.prior else "--stop-when-flat"
        raise ConfigError(
            f"{option} needs a sampler that weighs whole configs, such as {DEFAULT_SAMPLER}, but the sampler is "
            f"{sampler_name(sweep.chosen_sampler)}; leave one of the two out"
        )
