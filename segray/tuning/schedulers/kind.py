"""A kind of scheduler that ``--scheduler`` can name: the rule that stops weak trials, and how it says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypedDict, runtime_checkable

import optuna
from optuna.trial import FrozenTrial

from segray.objective import MIOU, Objective
from segray.tuning.space import Space

DEFAULT_REDUCTION_FACTOR: Final = 3.0


class NamedTrial(NamedTuple):
    """The part of a trial that a rule sees: segray's id, which stays the same over all starts of the sweep."""

    trial_id: str


class Epoch(TypedDict):
    """An epoch of a result."""

    epoch: int
    """Completed epochs; 0 if the trial failed before a message of an epoch"""
    best_score: float
    """Under ``TUNE_METRIC``: the best score so far; NaN before there is one"""


class Score(Epoch):
    """The part of a result that a rule sees."""

    share: float
    """Completed epochs, as a share of the trial's own schedule"""


class Rule(Protocol):
    """The part of a scheduler that decides which trials stop: one of Tune's, or one's own with these methods.

    A rule hears the epochs of a trial in order. Those of earlier starts come first, and nobody follows the answers to
    them. It need not spare the baseline: `EarlyStopping` does.
    """

    def on_trial_add(self, _controller: None, trial: NamedTrial) -> None:
        """Take a trial in; a trial that a resume continues is added twice."""

    def on_trial_result(self, _controller: None, trial: NamedTrial, result: Score) -> str:
        """Return ``TrialScheduler.STOP`` or ``CONTINUE`` after an epoch."""

    def on_trial_complete(self, _controller: None, trial: NamedTrial, result: Score) -> None:
        """Take in the last epoch of a trial that ended: a finished trial's comes here alone."""

    def on_trial_remove(self, _controller: None, trial: NamedTrial) -> None:
        """Hear that a trial ended without another epoch; its earlier epochs still count."""


@runtime_checkable
class PausingRule(Protocol):
    """A rule that takes trials out of their slots, and lets them go on later.

    It reads earlier epochs from the study, so it does not hear of them. ``on_trial_result`` may return
    ``TrialScheduler.PAUSE``.
    """

    def next_paused(self, paused: Sequence[str], *, can_begin: bool) -> str | None:
        """Return the paused trial that goes on in a free slot; None if a new one is worth more, or if none is."""


class StudySpace(Protocol):
    """A search space, and the study of what was found in it."""

    study: optuna.Study
    space: Space
    earlier: Sequence[FrozenTrial]
    """Trials of earlier sweeps, which the study does not have; their numbers are below 0"""

    @property
    def can_begin(self) -> bool:
        """Whether a new trial may begin."""


@dataclass(frozen=True, kw_only=True)
class StoppingSettings:
    """Settings that a rule may depend on."""

    max_epochs: int
    """The longest schedule of a trial"""
    grace_epochs: int | None
    """No trial is stopped before it has completed so many of the longest schedule, or as large a share of its own; None
    where that is learned. The rule itself sees to it"""
    reduction_factor: float
    """One in so many trials goes on at each rung (asha, hyperband)"""
    objective: Objective = MIOU
    seed: int = 0
    """Seed of the search"""
    search: StudySpace | None = None
    """The study, for rules that read it"""

    @property
    def grace_share(self) -> float | None:
        """The share of its schedule before which no trial is stopped."""
        return None if self.grace_epochs is None else min(self.grace_epochs / self.max_epochs, 1.0)


def to_first_rung(settings: StoppingSettings) -> float:
    """Return the share of its schedule that each trial trains where none is stopped before the grace epochs."""
    return one_epoch(settings) if settings.grace_share is None else settings.grace_share


def one_epoch(settings: StoppingSettings) -> float:
    """Return one epoch as a share of the longest schedule."""
    return 1 / settings.max_epochs


@dataclass(frozen=True)
class SchedulerKind:
    """One kind of scheduler."""

    build: Callable[[StoppingSettings], Rule]
    """Builds the rule; imports Ray, which a command's --help does without"""
    verdict: str = ""
    """Why the rule stops a trial, as the end of a sentence that begins with the trial's best score"""
    least_share: Callable[[StoppingSettings], float] = to_first_rung
    """Returns the share of its schedule that each trial trains, unless it fails"""
    pauses: bool = False
    """Whether trials may wait with their checkpoints for another slot"""
