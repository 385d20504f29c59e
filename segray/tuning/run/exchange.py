"""Types of what passes through Ray Tune, a proposed trial and its news, and of what the searcher asks a scheduler."""

from __future__ import annotations

from typing import Literal, Protocol, TypedDict

from segray.records import EpochRecord, OutcomeStatus
from segray.tuning.schedulers.kind import Epoch
from segray.tuning.space import Choice


class Proposal(TypedDict):
    """A trial as the searcher hands it out: the config of Tune's trial."""

    trial: str
    """segray's id, which stays the same over all starts of the sweep"""
    values: dict[str, Choice]
    """Dotted config keys and values that differ from the base"""


class TuneTrial(Protocol):
    """The part of Tune's trial that segray uses."""

    config: Proposal

    def get_error(self) -> Exception | None:
        """Return the error that ended the trial."""


class News(Epoch):
    """Tune's result of an epoch, or of a trial's end."""

    record: EpochRecord | None
    status: OutcomeStatus | Literal["interrupted", "no_storage"] | None
    """As in ``Message``"""
    reason: str
    traceback: str
    seconds: float
    done: bool
    """Whether the trial ends with this result; Tune sets it when a scheduler stops the trial"""


class Pausing(Protocol):
    """A scheduler that takes trials out of their slots and lets them go on later."""

    def pause(self, trial_id: str) -> None:
        """Let a trial that an earlier start began wait until it is worth a slot."""

    def is_paused(self, trial_id: str) -> bool:
        """Return whether a trial that left its slot will go on, or may."""

    def next_paused(self, *, can_begin: bool) -> str | None:
        """Return the trial that goes on in a free slot; None if a new one is worth more, or if none is worth it.

        Args:
            can_begin: Whether a new trial could take the slot.
        """

    def forget(self, trial_id: str) -> None:
        """Let go of a paused trial that has ended."""
