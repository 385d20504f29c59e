"""Who proposes trials."""

from __future__ import annotations

import optuna

from segray.tuning.sweep import SearcherName


def make_sampler(searcher: SearcherName, seed: int) -> optuna.samplers.BaseSampler:
    """The Optuna sampler of a searcher's name."""
    if searcher == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
