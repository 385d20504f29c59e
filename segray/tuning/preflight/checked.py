"""The choices of a sweep after all checks of preflight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segray.config import DataConfig, RunConfig
from segray.data.preparation import PreparedData
from segray.tuning.freeze_thaw.belief import Belief
from segray.tuning.space import Distribution, Space
from segray.values import Values


@dataclass(frozen=True)
class Checked:
    """A sweep's choices after all checks."""

    base: RunConfig
    space: Space
    """Capped to max_epochs"""
    distributions: Mapping[str, Distribution]
    first_trials: Sequence[Values]
    belief: Belief
    """Values that are believed to be good"""
    max_epochs: int
    data: PreparedData
    """Data of the first trial"""
    all_data: Mapping[DataConfig, PreparedData]
    """Data of each data section among the trials that were checked"""
    weights_line: str
    """Line on the encoder weights of all trials, and why"""
