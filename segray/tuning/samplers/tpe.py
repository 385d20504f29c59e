"""TPE: tree-structured Parzen estimators (Bergstra et al. 2011), which fit densities to good and to bad trials."""

import optuna

from segray.tuning.samplers.kind import SamplerKind

# Without it, trials that start together are proposed close to each other.
TPE = SamplerKind(optuna.samplers.TPESampler, defaults={"constant_liar": True})
