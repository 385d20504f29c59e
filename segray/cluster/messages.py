"""The messages that the channel carries: tasks to the workers, news of trials to the slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from segray.goals import DEFAULT_GOALS, Goals
from segray.records import EpochRecord, OutcomeStatus
from segray.values import Json


@dataclass(frozen=True)
class Task:
    """One trial to run."""

    trial_id: str
    config: Json
    """The resolved RunConfig, nested"""
    attempt: int = 1
    seconds: float = 0.0
    """Time spent on the trial before this attempt"""
    goals: Goals = DEFAULT_GOALS
    """The score by which an epoch is the best one, the properties to measure, and their bounds"""


@dataclass(frozen=True)
class Message:
    """News of a slot's trial: an epoch's record, the trial's end, both at once, or the reason why an attempt ended."""

    trial_id: str
    record: EpochRecord | None = None
    status: OutcomeStatus | Literal["interrupted", "no_storage"] | None = None
    """None while the trial goes on; no_storage if the sweep's files cannot be written, which ends the sweep"""
    reason: str = ""
    traceback: str = ""
    seconds: float = 0.0
    """Time spent on a failed trial, over all attempts"""
    log: str = ""
    """Lines for the trial's log that no worker could write, since the workers died"""
