"""Everything that can be wrong with a sweep, found before a trial starts."""

from segray.tuning.preflight.steps import Checked, check, check_choices

__all__ = ["Checked", "check", "check_choices"]
