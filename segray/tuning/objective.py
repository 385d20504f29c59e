"""The objective in Ray Tune's results."""

from __future__ import annotations

from typing import Final

TUNE_METRIC: Final = "best_score"
"""Key of Tune's results that schedulers compare: the best score so far, which never gets worse."""
