"""A kind of scheduler that ``--scheduler`` can name: which rule of Tune stops weak trials, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from segray.objective import MIOU, Objective
from segray.tuning.objective import TUNE_METRIC


class NamedTrial(NamedTuple):
    """The part of a trial that a rule sees: segray's id, which stays the same over all starts of the sweep."""

    trial_id: str


class Rule(Protocol):
    """The part of Tune's schedulers that decides which trials stop."""

    def on_trial_add(self, controller: None, trial: NamedTrial) -> None:
        """Take a trial in."""

    def on_trial_result(self, controller: None, trial: NamedTrial, result: dict[str, Any]) -> str:
        """Return ``TrialScheduler.STOP`` or ``CONTINUE`` after an epoch."""

    def on_trial_complete(self, controller: None, trial: NamedTrial, result: dict[str, Any]) -> None:
        """Take in the last epoch of a trial that ended."""

    def on_trial_remove(self, controller: None, trial: NamedTrial) -> None:
        """Let go of a trial that ended without a last epoch."""


@dataclass(frozen=True, kw_only=True)
class StoppingSettings:
    """Settings that a rule may depend on."""

    max_epochs: int
    """No trial runs longer"""
    grace_epochs: int
    """No trial is stopped before it has completed so many"""
    reduction_factor: float
    """One in so many trials goes on at each rung (asha, hyperband)"""
    objective: Objective = MIOU

    @property
    def compared_by(self) -> dict[str, Any]:
        """Arguments of Tune's rules: they compare the best score so far, by completed epochs."""
        # Tune's own training_iteration restarts when a trial goes on in another slot, so epochs are segray's.
        return {"time_attr": "epoch", "metric": TUNE_METRIC, "mode": self.objective.mode}


@dataclass(frozen=True)
class SchedulerKind:
    """One kind of scheduler."""

    build: Callable[[StoppingSettings], Rule]
    """Builds the rule; imports Ray, which a command's --help does without"""
    verdict: str = ""
    """Why the rule stops a trial, as the end of a sentence that begins with the trial's best score"""
