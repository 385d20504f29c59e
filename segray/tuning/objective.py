"""The score that trials are compared by."""

from __future__ import annotations

from typing import Final

from segray.records import METRIC

TUNE_METRIC: Final = f"best_{METRIC}"
"""Key of Tune's results that schedulers compare: the best score so far, which never falls."""
