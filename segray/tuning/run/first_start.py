"""The first start of a sweep: what it says before the first trial, and the records that it writes once."""

from __future__ import annotations

from collections.abc import Callable

from segray.cluster.resources import Plan
from segray.storage import SweepFiles
from segray.tuning.preflight import Checked
from segray.tuning.preflight.judging import describe_judging
from segray.tuning.run.sweep_record import sweep_record
from segray.tuning.sweep import Sweep
from segray.tuning.warm_start.taking import warm_start


def record_start(
    sweep: Sweep, checked: Checked, plan: Plan, files: SweepFiles, announce: Callable[[str], None]
) -> None:
    """Write sweep.json, and what a warm start takes from earlier sweeps.

    Args:
        sweep: The sweep, which has passed its checks.
        checked: Its choices after all checks.
        plan: How it uses the cluster.
        files: Its files.
        announce: Called with each line on what judges the trials, and on what was taken.

    Raises:
        SegrayError: A source of the warm start cannot be used; nothing has been written then.
    """
    who = "the best trial" if checked.distributions else "the trained model"
    for line in describe_judging(checked.base.data, checked.data, who=who):
        announce(line)
    warm = warm_start(sweep, checked)
    for line in warm.summary:
        announce(line)
    # Not earlier: a sweep that cannot work must leave nothing behind, or its name would be taken.
    files.write_info(sweep_record(sweep, checked, plan))
    if warm.summary:
        files.write_warm_start(warm)
