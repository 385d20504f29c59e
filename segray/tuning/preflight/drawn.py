"""The first step of preflight: what the trials of a sweep will be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna

from segray.config import RunConfig
from segray.data.preparation import with_absolute_paths
from segray.errors import ConfigError, unknown_name
from segray.files import expanded
from segray.tuning.freeze_thaw.belief import Belief
from segray.tuning.points import Point, draw_point, first_of
from segray.tuning.preflight.samples import draw_samples
from segray.tuning.recipe import recipe_values
from segray.tuning.space import (
    EPOCHS_KEY,
    CappedSpace,
    Distribution,
    SearchedSpace,
    Space,
    contains,
    describe,
    plain_point,
)
from segray.tuning.sweep import Sweep
from segray.values import Values


@dataclass(frozen=True)
class Drawn:
    """The trials of a sweep, as far as they are known before its start."""

    base: RunConfig
    """With absolute paths, and the number of epochs where no trial draws it"""
    space: Space
    """Capped to max_epochs"""
    searched: SearchedSpace
    first_trials: Sequence[Values]
    belief: Belief
    """Values that are believed to be good: those of the first trial, if one is given, and the sweep's own"""
    max_epochs: int
    """No trial runs longer"""
    configs: Sequence[RunConfig]
    """Configs of the first trials, then of samples that hold every choice and every pair of model choices"""


def draw_trials(sweep: Sweep) -> Drawn:
    """Draw the trials that the later steps check.

    Raises:
        ConfigError: A key does not exist, the space has a mistake or does not hold the recipe or a first trial, or it
            decides what the sweep fixed.
    """
    base = _with_absolute_paths(sweep.base)
    if sweep.contestants:
        return _known(sweep, base)
    samples = draw_samples(sweep.space)
    _check_fixed(sweep.fixed, samples.values)
    if sweep.recipe:
        # With all its epochs: the cap could bring them into a space that does not hold them.
        recipe_values(sweep.space, base)
    longest = max(base.with_values(values).train.epochs for values in samples.values)
    # The samples may miss the highest number of a range, so its distribution counts too.
    max_epochs = sweep.epochs or max(longest, _longest(samples.space.distributions.get(EPOCHS_KEY)))
    epochs_vary = any(EPOCHS_KEY in values for values in samples.values)
    base = base.with_values({EPOCHS_KEY: min(base.train.epochs, max_epochs) if epochs_vary else max_epochs})

    capped = CappedSpace(sweep.space, max_epochs)
    # The cap changes distributions, and values that follow from the epochs, so the samples are drawn again.
    samples = draw_samples(capped)
    distributions = samples.space.distributions
    first_trials = [_given("first trial", point, distributions, max_epochs) for point in sweep.first_trials]
    prior = _given("prior", sweep.prior, distributions, max_epochs)
    for point in first_trials:
        # After other choices a key may have another range than the one that is checked above.
        draw_point(capped, Point(point, first_of))
    if sweep.recipe:
        first_trials.insert(0, recipe_values(capped, base))
    configs = [base.with_values(values) for values in (*first_trials, *samples.values)]
    belief = Belief(first_trials[0] if first_trials else {}, prior)
    return Drawn(base, capped, samples.space, first_trials, belief, max_epochs, configs)


def _known(sweep: Sweep, base: RunConfig) -> Drawn:
    """Return the trials of a start that searches nothing: those that it races."""
    configs = [base.with_values(values) for values in sweep.contestants]
    max_epochs = max(config.train.epochs for config in configs)
    return Drawn(base, sweep.space, SearchedSpace({}, frozenset()), (), Belief(), max_epochs, configs)


def _check_fixed(fixed: Sequence[str], draws: Sequence[Values]) -> None:
    searched = [key for key in fixed if any(key in values for values in draws)]
    if searched:
        raise ConfigError(
            f"--set must leave alone what the study searches, but names {', '.join(searched)}; leave it out, or change "
            "the space in a copy of the study"
        )


def _longest(distribution: Distribution | None) -> int:
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return distribution.high
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return max(int(float(str(choice))) for choice in distribution.choices)
    return 0


def _given(what: str, point: Values, distributions: Mapping[str, Distribution], max_epochs: int) -> dict[str, object]:
    """Return the values of a first trial or prior, its epochs capped."""
    values = plain_point(point)
    epochs = values.get(EPOCHS_KEY)
    if isinstance(epochs, int | float):
        values[EPOCHS_KEY] = min(epochs, max_epochs)
    check_searched(what, values, distributions)
    return values


def check_searched(what: str, values: Values, distributions: Mapping[str, Distribution]) -> None:
    """Check that a given point has searched keys and values of the space.

    Args:
        what: The name of the point, for messages.
        values: Dotted key -> value.
        distributions: Every searched key with its distribution.

    Raises:
        ConfigError: A key is not searched, or a value does not lie in the space.
    """
    for key, value in values.items():
        if key not in distributions:
            raise ConfigError(f"{what}: {unknown_name('searched key', key, distributions)}")
        if not contains(distributions[key], value):
            raise ConfigError(f"{what}: {key} must be {describe(distributions[key])}, but got {value!r}")


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    config = config.model_copy(update={"data": with_absolute_paths(config.data)})
    model = {"model.encoder_weights": config.model.encoder_weights, "model.weights": config.model.weights}
    paths = {key: path for key, path in model.items() if path not in ("", "none", "imagenet", "auto")}
    absolute = {key: str(expanded(path).absolute()) for key, path in paths.items() if "://" not in path}
    return config.with_values(absolute)
