"""TPE: tree-structured Parzen estimators (Bergstra et al. 2011), which fit densities to good and to bad trials."""

import optuna

from segray.tuning.samplers.kind import SamplerKind

TPE = SamplerKind(optuna.samplers.TPESampler)
