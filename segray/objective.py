"""Objectives of a sweep: what trials are compared by, and the direction in which it is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from segray import text
from segray.errors import ConfigError, unknown_name

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Score:
    """A number that an epoch's record holds, by which trials can be compared."""

    label: str
    """The score in a sentence"""
    direction: Direction = "maximize"
    """The direction in which it is better"""
    is_fraction: bool = True
    """Whether it is 0 to 1, and shown in per cent"""
    is_class_mean: bool = False
    """Whether it averages the classes, each equally, and is shown with their number"""
    unit: str = ""
    """Unit of a number that is no score of the validation"""
    per_unit: float = 1.0
    """The number that is shown as 1 of its unit"""


SCORES: Final[dict[str, Score]] = {
    "val_miou": Score("val mIoU", is_class_mean=True),
    "val_loss": Score("val loss", "minimize", is_fraction=False),
    "val_pixel_accuracy": Score("val pixel accuracy"),
    "val_mean_class_accuracy": Score("val mean class accuracy", is_class_mean=True),
    "val_frequency_weighted_iou": Score("val frequency-weighted IoU"),
    "val_cluster_accuracy": Score("val cluster accuracy"),
    "val_cluster_miou": Score("val cluster mIoU"),
}
"""Name in an epoch's record -> score; beside them, a record has the IoU of each class, ``val_iou/CLASS``."""

PROPERTIES: Final[dict[str, Score]] = {
    "latency_ms": Score("latency", "minimize", is_fraction=False, unit="ms"),
    "params": Score("parameters", "minimize", is_fraction=False, unit="M", per_unit=1e6),
    "flops": Score("FLOPs", "minimize", is_fraction=False, unit="G", per_unit=1e9),
    "peak_memory_mb": Score("peak memory", "minimize", is_fraction=False, unit="MB"),
}
"""Name -> number that the trial's network and its device decide, whatever was learned.

An epoch's record has those that the sweep asks for. All but the peak memory are measured before the first epoch: the
shortest latency of one photo of the validation split's size on the trial's device, with the network as it is trained,
the number of parameters, and the floating-point operations for such a photo. The peak memory is that of the training,
in 10^6 bytes.
"""

CLASS_IOU: Final = "val_iou/"
"""The name of a class's IoU up to the name of the class."""


@dataclass(frozen=True)
class Objective:
    """A score, and the direction in which it is better."""

    name: str
    """A name of ``SCORES`` or ``PROPERTIES``, or ``val_iou/CLASS``"""
    direction: Direction

    def __str__(self) -> str:
        return f"{self.direction} {self.name}"

    @property
    def label(self) -> str:
        """The score in a sentence, such as ``val mIoU``."""
        return self._score.label

    @property
    def bare_label(self) -> str:
        """The score without the name of the split, such as ``mIoU``."""
        return self.label.removeprefix("val ")

    @property
    def is_property(self) -> bool:
        """Whether it belongs to the network and its device, and training does not change it."""
        return self.name in PROPERTIES

    @property
    def is_class_mean(self) -> bool:
        """Whether the score averages the classes, each equally."""
        return self._score.is_class_mean

    @property
    def column(self) -> str:
        """The name of a trial's best score in frames and trackers, such as ``best_val_miou``."""
        return f"best_{self.name}"

    @property
    def mode(self) -> Literal["max", "min"]:
        """The direction as Ray Tune names it."""
        return "max" if self.direction == "maximize" else "min"

    @property
    def factor(self) -> float:
        """The factor from a score to its number in a figure: 100 for a fraction, since figures show per cent."""
        return 100 if self._score.is_fraction else 1 / self._score.per_unit

    @property
    def unit(self) -> str:
        """The end of a number on an axis: per cent, the unit of a property, or nothing."""
        unit = "%" if self._score.is_fraction else self._score.unit
        return f"\u00a0{unit}" if unit else ""

    def rank(self, score: float | None) -> float:
        """Return a number that is higher for a better score, and lowest for none."""
        if score is None or math.isnan(score):
            return -math.inf
        return score if self.direction == "maximize" else -score

    def best_label(self, *, trains_on_val: bool) -> str:
        """Return a trial's score in a sentence, such as ``best val mIoU``.

        Args:
            trains_on_val: Whether the validation images train too; their scores then choose no epoch.
        """
        return f"{self.label} on training images" if trains_on_val else f"best {self.label}"

    def shown(self, score: float | None) -> str:
        """Return a score for a person: ``42.3 %``, ``0.4231`` if it is no fraction, or ``12.3 ms`` with a unit."""
        if self._score.unit:
            return text.quantity(score, self._score.per_unit, self._score.unit)
        return text.percent(score) if self._score.is_fraction else text.decimal(score)

    def shown_range(self, low: float, high: float) -> str:
        """Return a range of scores: ``51.7 to 52.6``."""
        if self._score.is_fraction:
            return text.percent_range(low, high)
        return f"{text.decimal(low)} to {text.decimal(high)}"

    def shown_difference(self, difference: float) -> str:
        """Return the difference of two scores: ``+4.5 points``, or ``−0.0312`` if they are no fractions."""
        return text.points(difference) if self._score.is_fraction else text.signed_decimal(difference)

    def shown_difference_range(self, low: float, high: float) -> str:
        """Return a range of differences: ``−0.9 to +5.2``."""
        if self._score.is_fraction:
            return text.points_range(low, high)
        return f"{text.signed_decimal(low)} to {text.signed_decimal(high)}"

    @property
    def _score(self) -> Score:
        # A file may name a score that only another version of segray has.
        known = SCORES.get(self.name) or PROPERTIES.get(self.name)
        return known or Score(_class_label(self.name), is_fraction=self.name.startswith(CLASS_IOU))


MIOU: Final = Objective("val_miou", "maximize")
"""The objective of a sweep that names none."""


def find_objective(asked: str | Objective) -> Objective:
    """Return the objective of a name, in its usual direction; an objective stays as it is.

    Raises:
        ConfigError: No record has such a score, or the direction is unknown.
    """
    name, known = asked if isinstance(asked, str) else asked.name, SCORES | PROPERTIES
    if name not in known and not name.removeprefix(CLASS_IOU):
        raise ConfigError(f"--objective {CLASS_IOU} needs the name of a class, such as {CLASS_IOU}road")
    if name not in known and not name.startswith(CLASS_IOU):
        raise ConfigError(unknown_name("--objective", name, (*known, f"{CLASS_IOU}CLASS")))
    if isinstance(asked, str):
        return Objective(name, known[name].direction if name in known else "maximize")
    if asked.direction not in ("maximize", "minimize"):
        raise ConfigError(f"an objective's direction must be maximize or minimize, but got {asked.direction!r}")
    return asked


def _class_label(name: str) -> str:
    return f"val IoU of {name.removeprefix(CLASS_IOU)}" if name.startswith(CLASS_IOU) else text.words(name)
