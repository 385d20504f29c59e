"""Random search: every key is drawn independently, whatever earlier trials reached."""

import optuna

from segray.tuning.samplers.kind import SamplerKind

RANDOM = SamplerKind(optuna.samplers.RandomSampler)
