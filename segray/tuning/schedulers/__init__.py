"""Schedulers: they stop weak trials early. One file each; ``SCHEDULERS`` holds them by name."""

from __future__ import annotations

from segray.errors import ConfigError, unknown_name
from segray.tuning.schedulers.asha import ASHA
from segray.tuning.schedulers.freeze_thaw import FREEZE_THAW
from segray.tuning.schedulers.hyperband import HYPERBAND
from segray.tuning.schedulers.kind import DEFAULT_REDUCTION_FACTOR, SchedulerKind, StoppingSettings
from segray.tuning.schedulers.median import MEDIAN
from segray.tuning.schedulers.none import NONE

SCHEDULERS: dict[str, SchedulerKind] = {
    "asha": ASHA,
    "freeze_thaw": FREEZE_THAW,
    "hyperband": HYPERBAND,
    "median": MEDIAN,
    "none": NONE,
}
"""Name for ``--scheduler`` -> kind of scheduler."""


def find_scheduler(name: str) -> SchedulerKind:
    """Return the kind of scheduler of a name.

    Raises:
        ConfigError: There is none.
    """
    if name not in SCHEDULERS:
        raise ConfigError(unknown_name("--scheduler", name, SCHEDULERS))
    return SCHEDULERS[name]


__all__ = ["DEFAULT_REDUCTION_FACTOR", "SCHEDULERS", "SchedulerKind", "StoppingSettings", "find_scheduler"]
