"""Median stopping (Golovin et al. 2017): a trial ends when its best score is below the median of the others' means."""

import math

from segray.tuning.objective import TUNE_METRIC
from segray.tuning.schedulers.kind import Rule, SchedulerKind, StoppingSettings
from segray.tuning.schedulers.learned import with_first_rung


def _build(settings: StoppingSettings) -> Rule:
    from ray.tune.schedulers import MedianStoppingRule

    def begin(first: float) -> Rule:
        rule: Rule = MedianStoppingRule(
            # Tune's own training_iteration restarts when a trial goes on in another slot.
            time_attr="share",
            metric=TUNE_METRIC,
            mode=settings.objective.mode,
            grace_period=first,
            # Tune would pause trials while there are too few to compare with; a worker group gains nothing from it.
            min_time_slice=math.inf,
        )
        return rule

    return with_first_rung(begin, settings)


MEDIAN = SchedulerKind(_build, "was worse than the median of the other trials' means up to that epoch")
