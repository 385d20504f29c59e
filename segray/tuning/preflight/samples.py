"""Samples of a space, drawn before any trial runs: they show which keys it has, and give values to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product, takewhile

import optuna

from segray.tuning.space import Distribution, Draw, SearchedSpace, Space, draw_from
from segray.values import Values

NUM_RANDOM = 200
"""Random samples; combinations that are too rare for these fail as trials."""

MAX_PAIRS = 200
"""Up to so many pairs of architecture and encoder are all checked, at 0.3 s each; of more, only those sampled."""


@dataclass(frozen=True)
class Samples:
    """Samples of one space."""

    space: SearchedSpace
    values: Sequence[Values]
    """Values of each sample under dotted keys, with those that follow from the drawn ones"""


def draw_samples(space: Space) -> Samples:
    """Draw random samples, and one for each choice and each pair of model choices that these have missed.

    Raises:
        ConfigError: The space has a mistake; its line is named.
    """
    # A fixed seed: a study passes or fails in the same way at every start.
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    draws = [draw_from(space, study.ask()) for _ in range(NUM_RANDOM)]
    for choices in _choices_to_hold(_distributions(draws)):
        start = _start_values(draws, choices)
        if start is not None and not any(choices.items() <= draw.drawn.items() for draw in draws):
            study.enqueue_trial(start)
            draws.append(draw_from(space, study.ask()))
    always = frozenset.intersection(*(frozenset(draw.drawn) for draw in draws))
    return Samples(SearchedSpace(_distributions(draws), always), [draw.values for draw in draws])


def _distributions(draws: Sequence[Draw]) -> dict[str, Distribution]:
    return {key: distribution for draw in draws for key, distribution in draw.distributions.items()}


def _choices_to_hold(distributions: Mapping[str, Distribution]) -> list[dict[str, object]]:
    """Return every choice of every key, and the pairs of architecture and encoder unless they are too many."""
    choices = {
        key: distribution.choices
        for key, distribution in distributions.items()
        if isinstance(distribution, optuna.distributions.CategoricalDistribution)
    }
    single: list[dict[str, object]] = [{key: choice} for key in choices for choice in choices[key]]
    # SMP refuses some pairs: UnetPlusPlus and Linknet take no mit_b0, and DPT takes no CNN.
    models = list(product(choices.get("model.arch", ()), choices.get("model.encoder", ())))
    pairs: list[dict[str, object]] = [{"model.arch": arch, "model.encoder": encoder} for arch, encoder in models]
    return single + (pairs if len(pairs) <= MAX_PAIRS else [])


def _start_values(draws: Sequence[Draw], choices: Values) -> dict[str, object] | None:
    """Start values for forced choices: keep what was drawn before them, sample the rest; None if no draw has them."""
    for draw in draws:
        if choices.keys() <= draw.drawn.keys():
            return {**dict(takewhile(lambda item: item[0] not in choices, draw.drawn.items())), **choices}
    return None
