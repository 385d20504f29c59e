"""The base class of callbacks, which hear of a sweep's events in the driver."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from segray.errors import ConfigError
from segray.values import Values

if TYPE_CHECKING:
    # A command's --help does without pydantic, which the records need.
    from segray.records import EpochRecord, Outcome, SweepInfo, SweepStatus
    from segray.storage import SweepFiles


class Callback:
    """A tracker of a sweep: one method for each event, which does nothing unless a subclass overrides it.

    Every callback has a thread of its own in the driver, which calls its methods one at a time, in the order of the
    events. So a slow method holds up neither a trial nor another callback. A method may raise: the sweep goes on, and
    the person reads the first reason.

    A trial that is resumed begins again under the same id. It must continue its run in the tracker. Within a start, a
    trial that is handed out again or goes on after a pause does not begin again, and a pause is no event. A repeat is a
    trial with an id such as ``0001-seed1-epochs3``.
    """

    def check(self, files: SweepFiles) -> None:
        """Check, before the sweep starts, that the tracker can be used.

        Args:
            files: The sweep's files, which need not exist yet.

        Raises:
            ConfigError: The tracker cannot be used.
        """

    def sweep_begins(self, info: SweepInfo, files: SweepFiles) -> None:
        """Hear that a start of the sweep begins; called again before the next event if it raises."""

    def trial_begins(self, trial_id: str, config: Values, values: Values) -> None:
        """Hear that a trial has its first slot of this start, or is about to be given up without one.

        Args:
            trial_id: The trial's id.
            config: The trial's whole config by dotted key.
            values: What the search drew of it, and what follows from the drawn values.
        """

    def epoch_done(self, trial_id: str, record: EpochRecord) -> None:
        """Hear that a trial has completed an epoch."""

    def trial_ended(self, trial_id: str, outcome: Outcome) -> None:
        """Hear that a trial has ended; one that was interrupted or paused has not, because it may go on."""

    def sweep_ends(self, status: SweepStatus) -> None:
        """Hear that this start of the sweep ends; the last event, and none if ``sweep_begins`` always raised."""


def check_library(library: str, name: str) -> None:
    """Check that a tracker's library is installed.

    Args:
        library: The module that must be there.
        name: The name of the callback, and of the extra that brings the library.

    Raises:
        ConfigError: The library is missing.
    """
    if find_spec(library) is None:
        raise ConfigError(f"--callback {name} needs {library}, which is not installed: pip install 'segray[{name}]'")
