"""ASHA: asynchronous successive halving (Li et al. 2020).

At each rung (a ninth, a third, ... of a trial's schedule) a trial goes on if it is among the best third of those that
have come as far.
"""

from segray.tuning.schedulers.kind import Rule, SchedulerKind, StoppingSettings
from segray.tuning.schedulers.learned import with_first_rung
from segray.tuning.schedulers.rungs import Rungs


def _build(settings: StoppingSettings) -> Rule:
    return with_first_rung(lambda first: Rungs(first, settings.reduction_factor, settings.objective), settings)


ASHA = SchedulerKind(_build, "was not among those that ASHA lets go on")
