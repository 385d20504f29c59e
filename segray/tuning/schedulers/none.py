"""No early stopping: every trial trains to its end."""

from segray.tuning.schedulers.kind import Rule, SchedulerKind, StoppingSettings


def _build(_: StoppingSettings) -> Rule:
    from ray.tune.schedulers import FIFOScheduler

    rule: Rule = FIFOScheduler()
    return rule


NONE = SchedulerKind(_build, least_share=lambda _: 1.0)
