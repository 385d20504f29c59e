"""Grid search: every combination of the space once, in random order.

A sweep tries no combination twice, whatever proposes them, and ends when none is left: random proposals are a grid.
Optuna's own grid samplers take neither conditional keys (GridSampler) nor choices that are lists (BruteForceSampler).
"""

import optuna

from segray.tuning.samplers.kind import SamplerKind
from segray.tuning.space import SearchedSpace


def _problem(space: SearchedSpace) -> str:
    endless = space.endless()
    return f"needs numbers with a step, but the space has none for {', '.join(endless)}" if endless else ""


GRID = SamplerKind(optuna.samplers.RandomSampler, problem=_problem)
