"""Quasi-Monte Carlo: a Sobol sequence spreads the numbers that all trials draw more evenly than random draws do.

Choices, and numbers that only some trials draw, are random.
"""

import optuna

from segray.tuning.samplers.kind import SamplerKind
from segray.tuning.space import SearchedSpace


def _problem(space: SearchedSpace) -> str:
    return "" if space.numbers() else "needs a number that every trial draws, but the space has none"


QMC = SamplerKind(
    optuna.samplers.QMCSampler,
    # Scrambled, so that the seed counts.
    defaults={"warn_independent_sampling": False, "warn_asynchronous_seeding": False, "scramble": True},
    problem=_problem,
    is_renewed=False,
)
