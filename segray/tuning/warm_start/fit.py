"""How configs of other sweeps fit a new one: as points of its space, on the same data or on another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from segray.config import RunConfig
from segray.config.keys import keys_deciding, marks
from segray.config.mark import Decides
from segray.data.splits.split_record import record_splits, same_images, same_labels
from segray.errors import ConfigError, DamagedError, SegrayError
from segray.objective import MIOU
from segray.records import SplitRecord
from segray.tuning.points import FittedPoint, Point, draw_point, first_of, sample_from
from segray.tuning.preflight import Checked
from segray.tuning.run.sweep_record import majority_class
from segray.tuning.space import Distribution, Draw, contains
from segray.tuning.warm_start.earlier import EarlierSweep
from segray.values import Values

# splits.json compares the images themselves, and another seed changes a score no more than the noise does.
NOT_COMPARED: Final = {"seed", *keys_deciding(Decides.PLACE, Decides.LOADING, Decides.SPLITS)}
"""Keys that may differ between two trainings whose scores compare."""


class MisfitError(SegrayError):
    """A config that no trial of the new sweep could have; the message follows the number of such trials."""


@dataclass(frozen=True)
class Fit:
    """The fit of other configs to a new sweep.

    Args:
        checked: The new sweep.
        seed: Seed of values that neither a config nor the baseline gives.
    """

    checked: Checked
    seed: int

    def exact(self, config: RunConfig) -> Draw:
        """Return the point of the space that trains exactly this config.

        Raises:
            MisfitError: The space cannot give one of its values, or fixes another one.
        """
        theirs = config.flat()
        try:
            draw = draw_point(self.checked.space, _GivenPoint(theirs, first_of))
            own = self.checked.base.with_values(draw.values).flat()
        except ConfigError:
            raise MisfitError("whose values do not go together here") from None
        for key, value in own.items():
            if value != theirs[key] and key not in NOT_COMPARED and _has_effect(key, own):
                raise MisfitError(f"with another {key}")
        return draw

    def nearest(self, values: Values) -> Draw:
        """Return a point with those of the values that the space can give; the baseline gives the others."""
        random = np.random.default_rng(self.seed)

        def sample(_point: Point, _name: str, distribution: Distribution) -> object:
            return sample_from(distribution, random)

        baseline = self.checked.first_trials[0] if self.checked.first_trials else {}
        given = {**self.checked.base.flat(), **baseline, **self.searchable(values)}
        return draw_point(self.checked.space, FittedPoint(given, sample))

    def searchable(self, values: Values) -> dict[str, object]:
        """Return those of the values that the space can give."""
        searched = self.checked.distributions
        return {key: value for key, value in values.items() if key in searched and contains(searched[key], value)}

    def missed_key(self, values: Values) -> str | None:
        """Return the first key whose value no trial of the new sweep can have; None if there is none."""
        searched, base = self.checked.distributions, self.checked.base.flat()
        for key, value in values.items():
            if not (contains(searched[key], value) if key in searched else base[key] == value):
                return key
        return None

    def difference_of_data(self, earlier: EarlierSweep) -> str:
        """Return in a few words how an earlier sweep's data differs; empty if it is the same, wherever it lies."""
        data, info, base = self.checked.data, earlier.info, self.checked.base.flat()
        before = RunConfig().flat() | info.base
        if info.trains_on_val:
            return "its validation images trained it"
        for key in keys_deciding(Decides.IMAGES, Decides.LABELS):
            if before[key] != base[key]:
                return f"it had another {key}"
        try:
            splits = earlier.files.splits()
        except DamagedError:
            return "its splits.json is damaged"
        if splits is None or not same_images(splits, self._splits):
            return "it had other images"
        if (info.classes, info.val_classes) != (data.scored_space.names, data.val_classes):
            return "it had other classes"
        if not same_labels(splits, self._splits) or not _same_majority(self._majority, info.majority_scores):
            return "its labels decode differently"
        return ""

    @cached_property
    def _splits(self) -> SplitRecord:
        return record_splits(self.checked.base.data, self.checked.all_data)

    @cached_property
    def _majority(self) -> Mapping[str, float | None]:
        return majority_class(self.checked.data)[1]


class _GivenPoint(Point):
    """A point that takes no value outside the space."""

    def _suggest(self, name: str, distribution: Distribution) -> object:
        if name in self._params and not contains(distribution, self._params[name]):
            raise MisfitError(f"with {name} outside this space")
        return super()._suggest(name, distribution)


def _has_effect(key: str, values: Values) -> bool:
    return all(use.is_met(values) for use in marks()[key].uses)


def _same_majority(now: Mapping[str, float | None], before: Mapping[str, float | None]) -> bool:
    # Files may keep their sizes when their content changes; neither record passes its checks without an mIoU.
    first, second = now[MIOU.name], before[MIOU.name]
    return first is not None and second is not None and math.isclose(first, second)
