"""Everything that can be wrong with a sweep, found before a trial starts."""

from segray.tuning.preflight.checked import Checked
from segray.tuning.preflight.parts import check_choices
from segray.tuning.preflight.steps import check

__all__ = ["Checked", "check", "check_choices"]
