"""Limits on the time of a trial and on the silence of its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from segray.errors import ConfigError
from segray.option import Option


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The time limits of a sweep's trials, in minutes."""

    trial_minutes: Annotated[
        float | None,
        Option("End a trial that takes longer (default: no limit)", name="--trial-timeout", metavar="MINUTES"),
    ] = None
    """Time of a trial on its workers, over all its attempts; None for no limit"""
    silence_minutes: Annotated[
        float,
        Option(
            "Longest wait for a single batch; then its worker counts as hung",
            name="--silence-limit",
            metavar="MINUTES",
        ),
    ] = 15.0
    """Time that a worker may take for a single step, such as a batch, before it counts as hung; may be infinite"""

    def __post_init__(self) -> None:
        for option, minutes in (("--trial-timeout", self.trial_minutes), ("--silence-limit", self.silence_minutes)):
            if minutes is not None and not minutes > 0:
                raise ConfigError(f"{option} must be above 0 minutes, but got {minutes:g}")
