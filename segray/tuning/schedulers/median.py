"""Median stopping (Golovin et al. 2017): a trial ends when its best score is below the median of the others' means."""

import math

from segray.tuning.schedulers.kind import Rule, SchedulerKind, StoppingSettings


def _build(settings: StoppingSettings) -> Rule:
    from ray.tune.schedulers import MedianStoppingRule

    rule: Rule = MedianStoppingRule(
        grace_period=settings.grace_epochs,
        # Tune would pause trials while there are too few to compare with; a worker group has nothing to gain from it.
        min_time_slice=math.inf,
        **settings.compared_by,
    )
    return rule


MEDIAN = SchedulerKind(_build, "was worse than the median of the other trials' means up to that epoch")
