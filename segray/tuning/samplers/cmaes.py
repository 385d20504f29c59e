"""CMA-ES (Hansen and Ostermeier 2001), an evolution strategy over the numbers that all trials draw.

Choices, and numbers that only some trials draw, are random.
"""

import optuna

from segray.tuning.samplers.kind import SamplerKind
from segray.tuning.space import SearchedSpace


def _problem(space: SearchedSpace) -> str:
    numbers = space.numbers()
    if len(numbers) >= 2:
        return ""
    return f"needs at least two numbers that every trial draws, but the space has {', '.join(numbers) or 'none'}"


CMAES = SamplerKind(
    optuna.samplers.CmaEsSampler, defaults={"warn_independent_sampling": False}, problem=_problem, takes_many=False
)
