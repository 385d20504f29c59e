"""A sweep's files as pandas frames and notes; needs neither torch nor ray."""

from segray.results.confirmation import Confirmation, Spread
from segray.results.race import Contestant, Race
from segray.results.searched import SearchedKey
from segray.results.sweep import SweepResults, load

__all__ = ["Confirmation", "Contestant", "Race", "SearchedKey", "Spread", "SweepResults", "load"]
