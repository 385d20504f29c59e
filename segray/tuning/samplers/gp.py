"""Bayesian optimisation with a Gaussian process over the keys that all trials draw; further keys are random."""

import optuna

from segray.tuning.samplers.kind import SamplerKind

GP = SamplerKind(optuna.samplers.GPSampler, defaults={"warn_independent_sampling": False})
