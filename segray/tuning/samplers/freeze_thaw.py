"""Freeze-thaw: proposes the point with the largest expected improvement at the end, by a model of learning curves."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from segray.tuning.freeze_thaw.belief import Belief
from segray.tuning.freeze_thaw.search import FreezeThaw
from segray.tuning.samplers.kind import SamplerKind
from segray.tuning.space import Draw, Space


class FreezeThawSampler(optuna.samplers.RandomSampler):
    """Optuna's view of freeze-thaw search, which proposes whole points; values are random where no point is left.

    Args:
        n_startup_trials: Number of trials that must have a score before the model decides; before, points are random.
        seed: Seed of the points that are weighed.
    """

    def __init__(self, n_startup_trials: int = 4, seed: int | None = None) -> None:
        super().__init__(seed)
        self._num_startup, self._seed = n_startup_trials, seed or 0
        self.belief: Belief | None = None
        """Values that are believed to be good"""
        self._space: Space | None = None
        self._search: FreezeThaw | None = None

    def over(self, space: Space, earlier: Sequence[FrozenTrial] = ()) -> FreezeThaw:
        """Return the search over a space, which a scheduler shares; ``earlier`` are trials of earlier sweeps."""
        if self._search is None or self._space is not space:
            self._space = space
            self._search = FreezeThaw(space, self._seed, self._num_startup, self.belief, earlier)
        return self._search

    def points(self, study: optuna.Study, space: Space, earlier: Sequence[FrozenTrial]) -> Sequence[Draw]:
        """Return points for the next trial, the most promising first."""
        return self.over(space, earlier).points(study)

    def is_flat(self, study: optuna.Study, space: Space, earlier: Sequence[FrozenTrial]) -> bool:
        """Return whether nothing more is expected to gain what is worth an epoch."""
        return self.over(space, earlier).is_flat(study)


# Its points are drawn by the trial's number already, and its model is worth keeping.
FREEZE_THAW = SamplerKind(FreezeThawSampler, is_renewed=False, scheduler="freeze_thaw")
