"""The mark of a config field: what the field decides, and when it means anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segray.config.run import RunConfig


class Decides(Enum):
    """What a config field decides. Each question about keys is asked of these (`segray.config.keys`)."""

    PLACE = auto()
    """Where files lie: the same on every machine of a sweep, and free to change on a resume"""
    LOADING = auto()
    """How fast images are loaded, but not which"""
    IMAGES = auto()
    """Which images there are, and at which size"""
    LABELS = auto()
    """How label files are read, and by which classes predictions are judged"""
    TARGETS = auto()
    """What the network is trained on where it is judged by something else"""
    SPLITS = auto()
    """Which images train, validate and are kept for the end"""
    SAMPLING = auto()
    """How training draws from its images"""
    NETWORK = auto()
    TRAINING = auto()
    """What is minimised, how, and for how long"""


@dataclass(frozen=True)
class Use:
    """When a field means anything to a run."""

    key: str
    """The key that decides over it"""
    rule: str
    """What that key must be"""
    fix: str
    is_met: Callable[[RunConfig], bool]


@dataclass(frozen=True)
class Mark:
    """Stands beside a field's type, or beside a section's for all its fields that have none of their own."""

    decides: Decides
    registry: str = ""
    """Where a name's choices are, which its help text lists: module and collection, such as segray.losses:LOSSES"""
    uses: tuple[Use, ...] = ()
    """All must be met"""


PLACE = Mark(Decides.PLACE)
LOADING = Mark(Decides.LOADING)
IMAGES = Mark(Decides.IMAGES)
LABELS = Mark(Decides.LABELS)
SPLITS = Mark(Decides.SPLITS)
SAMPLING = Mark(Decides.SAMPLING)
NETWORK = Mark(Decides.NETWORK)
TRAINING = Mark(Decides.TRAINING)
