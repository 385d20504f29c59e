"""A trial that a study asks its sampler for, whose values are only kept once they are accepted.

Optuna's own trials keep each value as soon as it is suggested, so a point that was tried before would use up a trial.
This file alone uses Optuna's internals: ``Trial._trial_id``, ``Trial._cached_frozen_trial``, ``Study._study_id``,
``Study._storage`` and its ``set_trial_param``, ``set_trial_intermediate_value`` and
``get_trial_id_from_study_id_trial_number``, as in Optuna 5.0.
"""

from __future__ import annotations

import copy

import optuna
from optuna.trial import FrozenTrial, TrialState

from segray.tuning.points import Point, Sample, first_of
from segray.tuning.space import Distribution, Draw, contains


class AskedTrial:
    """A running trial of a study that has no values yet.

    Args:
        study: The study; its sampler hears of the trial at once.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._trial = study.ask()
        self.number = self._trial.number
        """Position in the study, from 0"""

    def new_sample(self) -> Sample:
        """Return how the sampler chooses the values of one more point."""
        # A new trial object over the same stored trial: the sampler proposes afresh, all keys together if it does so.
        trial = optuna.Trial(self._study, self._trial._trial_id)

        def sample(point: Point, name: str, distribution: Distribution) -> object:
            # Optuna too asks no sampler for a distribution with one value.
            if distribution.single():
                return first_of(point, name, distribution)
            proposed = trial.relative_params
            if name in proposed and contains(distribution, proposed[name]):
                return proposed[name]
            frozen = copy.copy(trial._cached_frozen_trial)
            frozen.params, frozen.distributions = point.params, point.distributions
            return self._study.sampler.sample_independent(self._study, frozen, name, distribution)

        return sample

    def random_sample(self) -> Sample:
        """Return how to choose the values of a point at random, whatever the sampler proposes."""
        # One seed for all trials would draw the same points for each of them.
        random = optuna.samplers.RandomSampler(seed=self.number)

        def sample(_point: Point, name: str, distribution: Distribution) -> object:
            return random.sample_independent(self._study, self._trial._cached_frozen_trial, name, distribution)

        return sample

    def accept(self, draw: Draw) -> FrozenTrial:
        """Keep a point's values; returns the stored trial."""
        for name, value in draw.drawn.items():
            distribution = draw.distributions[name]
            internal = distribution.to_internal_repr(value)
            self._study._storage.set_trial_param(self._trial._trial_id, name, internal, distribution)
        return self._study._storage.get_trial(self._trial._trial_id)

    def discard(self) -> None:
        """End the trial without values."""
        # A study cannot delete a trial, but samplers ignore a failed one.
        self._study.tell(self._trial, state=TrialState.FAIL)


def report(trial: optuna.Trial, score: float, epoch: int) -> None:
    """Keep an epoch's score in the study; Optuna's own method refuses trials with several objectives."""
    trial.storage.set_trial_intermediate_value(trial._trial_id, epoch, score)


def trial_numbered(study: optuna.Study, number: int) -> optuna.Trial:
    """Return the trial of a number, which can be reported to."""
    return optuna.Trial(study, study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number))


def trial_of(study: optuna.Study, frozen: FrozenTrial) -> optuna.Trial:
    """Return a trial of a study that can be reported to."""
    return optuna.Trial(study, frozen._trial_id)
