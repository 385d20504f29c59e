"""Trials drawn from a space before any runs: which keys it has, and values to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product, takewhile
from typing import Any

import optuna

from segray.tuning.space import Distribution, Space, draw_from

DRAWS = 200
"""Random trials drawn from a space to learn its keys and check its values; rarer combinations fail as trials."""

MAX_PAIRS = 200
"""Up to so many pairs of architecture and encoder are all checked, at 0.3 s each; of more, those that are drawn."""


def draw(space: Space) -> tuple[dict[str, Distribution], list[dict[str, Any]]]:
    """Distributions and values of random trials, and of one for each choice and model that these have missed.

    Raises:
        ConfigError: The space has a mistake; its line is named.
    """
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    distributions: dict[str, Distribution] = {}
    drawn: list[dict[str, Any]] = []
    draws = []

    def one() -> None:
        trial = study.ask()
        given = draw_from(space, trial)
        distributions.update(trial.distributions)
        drawn.append(given.drawn)
        draws.append(given.values)

    for _ in range(DRAWS):
        one()
    for choices in _to_hold(distributions):
        if not any(choices.items() <= params.items() for params in drawn):
            start = _start(drawn, choices)
            if start is not None:
                study.enqueue_trial(start)
                one()
    return distributions, draws


def _to_hold(distributions: Mapping[str, Distribution]) -> list[dict[str, Any]]:
    """Every choice of every key, and the pairs of architecture and encoder unless they are too many."""
    choices = {
        key: distribution.choices
        for key, distribution in distributions.items()
        if isinstance(distribution, optuna.distributions.CategoricalDistribution)
    }
    single = [{key: choice} for key in choices for choice in choices[key]]
    models = list(product(choices.get("model.arch", ()), choices.get("model.encoder", ())))
    pairs = [{"model.arch": arch, "model.encoder": encoder} for arch, encoder in models]
    return single + (pairs if len(pairs) <= MAX_PAIRS else [])


def _start(drawn: Sequence[Mapping[str, Any]], choices: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a drawn trial that asks for the keys drew before them, and the choices: what follows is drawn anew."""
    for params in drawn:
        if choices.keys() <= params.keys():
            return {**dict(takewhile(lambda item: item[0] not in choices, params.items())), **choices}
    return None
