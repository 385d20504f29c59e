"""The mark of a config field: what the field decides, and when the field is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from segray.values import Values


class Decides(Enum):
    """The decision that a config field makes. `segray.config.keys` answers every question about keys from it."""

    PLACE = auto()
    """Location of files: the same on every machine of a sweep, and free to change on a resume"""
    LOADING = auto()
    """Speed of loading images, but not the choice of images"""
    IMAGES = auto()
    """Images and their size"""
    LABELS = auto()
    """Reading of label files, and classes by which predictions are scored"""
    TARGETS = auto()
    """Training targets that differ from the scored classes"""
    SPLITS = auto()
    """Images of the training, validation and test split"""
    SAMPLING = auto()
    """Sampling and augmentation of training images"""
    NETWORK = auto()
    TRAINING = auto()
    """Loss, optimiser and length of training"""


@dataclass(frozen=True)
class Use:
    """A condition on another key, without which a field has no effect."""

    key: str
    """The other key"""
    rule: str
    """The required value of the other key, in words"""
    fix: str
    is_met: Callable[[Values], bool]
    """Whether the values of a run, by dotted key, meet the condition"""


@dataclass(frozen=True)
class Mark:
    """The mark beside a field's type, or beside a section's type for all its fields without a mark."""

    decides: Decides
    registry: str = ""
    """Module and collection of the field's choices, such as segray.losses:LOSSES; the help text lists the choices"""
    uses: tuple[Use, ...] = ()
    """Conditions that must all be met for the field to have an effect"""


PLACE = Mark(Decides.PLACE)
LOADING = Mark(Decides.LOADING)
IMAGES = Mark(Decides.IMAGES)
LABELS = Mark(Decides.LABELS)
SPLITS = Mark(Decides.SPLITS)
SAMPLING = Mark(Decides.SAMPLING)
NETWORK = Mark(Decides.NETWORK)
TRAINING = Mark(Decides.TRAINING)
