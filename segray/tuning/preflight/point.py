"""The checks of a point that a person adds to a running search."""

from __future__ import annotations

from segray.config.keys import without
from segray.config.mark import Decides
from segray.tuning.preflight.checked import Checked
from segray.tuning.preflight.parts import check_choices
from segray.tuning.preflight.training import check_training
from segray.values import Values


def check_point(checked: Checked, values: Values, *, num_workers: int) -> None:
    """Check that a trial with these values can be trained; nothing is decoded for it.

    Args:
        checked: The sweep's choices after all checks.
        values: Dotted keys and values of the whole point.
        num_workers: Workers a trial, among which its batch is divided.

    Raises:
        ConfigError: A name is unknown, or a combination cannot work.
    """
    config = checked.base.with_values(values)
    check_choices(config)
    # Trials that only crop or augment differently share one decoded copy.
    images = without(config.data, Decides.SAMPLING, Decides.LOADING)
    for other, data in checked.all_data.items():
        if without(other, Decides.SAMPLING, Decides.LOADING) == images:
            check_training([config], {config.data: data}, num_workers)
            return
