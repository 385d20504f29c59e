"""ASHA: asynchronous successive halving (Li et al. 2020).

At each rung (1, 3, 9, ... epochs) a trial goes on if it is among the best third of those that have come as far.
"""

from segray.tuning.schedulers.kind import Rule, SchedulerKind, StoppingSettings


def _build(settings: StoppingSettings) -> Rule:
    from ray.tune.schedulers import ASHAScheduler

    rule: Rule = ASHAScheduler(
        max_t=settings.max_epochs,
        # Tune refuses a first rung beyond the last epoch, as where --epochs is below --grace-epochs.
        grace_period=min(settings.grace_epochs, settings.max_epochs),
        reduction_factor=settings.reduction_factor,
        **settings.compared_by,
    )
    return rule


ASHA = SchedulerKind(_build, "was not among those that ASHA lets go on")
