"""NSGA-II (Deb et al. 2002), a genetic algorithm that crosses and mutates the best trials of each generation."""

import optuna

from segray.tuning.samplers.kind import SamplerKind

NSGA2 = SamplerKind(optuna.samplers.NSGAIISampler)
