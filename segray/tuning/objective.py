"""What trials are compared by."""

from __future__ import annotations

from typing import Final

from segray.records import METRIC

TUNE_METRIC: Final = f"best_{METRIC}"
"""What Tune's scheduler and searcher compare: the best so far, which never falls."""
