"""How a trial ended, as its files tell."""

from __future__ import annotations

from segray.records import STOPPED_EARLY, Outcome, OutcomeStatus
from segray.trial_files import TrialFiles, undamaged
from segray.tuning.run.collapse import collapse_warning


def outcome_of(
    files: TrialFiles, status: OutcomeStatus, reason: str = "", traceback: str = "", seconds: float = 0.0
) -> Outcome:
    """Return the outcome of a trial that has just ended.

    Args:
        files: Its files, with the epochs that it completed.
        status: How it ended.
        reason: Why, in a sentence.
        traceback: Of an error.
        seconds: Time that a worker group spent on it, if that is more than its last checkpoint says.
    """
    last = files.pointer("last")
    return Outcome(
        status=status,
        reason=reason,
        warning=collapse_warning(files.records()),
        traceback=traceback,
        epochs=last.record.epoch if last else 0,
        best_score=last.record.best_score if last else None,
        best_epoch=last.record.best_epoch if last else None,
        # A trial that ends within an epoch took longer than its last checkpoint says.
        seconds=max(last.seconds if last else 0.0, seconds),
    )


def given_up(files: TrialFiles) -> Outcome:
    """Return the outcome of a paused trial that the search has ended without."""
    return outcome_of(files, "stopped", f"{STOPPED_EARLY}: it was paused, and further epochs promised no gain")


def known_values(files: TrialFiles) -> dict[str, object]:
    """Return the values that a trial began with; none if its file is lost."""
    return undamaged(files.values) or {}
