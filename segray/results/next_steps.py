"""Next steps with the best model of a run: its folder, and commands to copy."""

from __future__ import annotations

import shlex
from pathlib import Path

from segray.folder import location_below
from segray.shown import redacted
from segray.trial_files import TrialFiles


def model_folder(location: str, trial: TrialFiles) -> str:
    """Return the path or URL of the folder that holds a trial's model; empty if it has none.

    Args:
        location: The run's path or URL, as a person would type it.
        trial: One of its trials.
    """
    pointer = trial.pointer("best")
    if pointer is None:
        return ""
    return redacted(location_below(_typed(location), f"trials/{trial.id}/{pointer.checkpoint}"))


def next_commands(location: str, *, has_test_images: bool, trains_on_val: bool = False) -> tuple[tuple[str, str], ...]:
    """Return what the commands do, and the commands that use the best model of a run; PHOTOS stands for files.

    Args:
        location: The run's path or URL, as a person would type it.
        has_test_images: Whether the run kept images that no trial was chosen by; else the validation is repeated.
        trains_on_val: Whether the validation images trained the model too, so that scores on them say nothing.
    """
    split = "" if has_test_images else " --split val"
    run = _quoted(redacted(_typed(location)))
    can_score = has_test_images or not trains_on_val
    return (
        ("predict photos", f"segray predict {run} PHOTOS -o predictions"),
        *([("score it", f"segray evaluate {run}{split}")] if can_score else []),
        ("give it away", f"segray export {run} --to model"),
        ("train on", f"segray train --from {run} --epochs 200"),
    )


def _typed(location: str) -> str:
    """Return a location without the home folder, which a default may hold though nobody typed it."""
    home = str(Path.home())
    return f"~{location.removeprefix(home)}" if home != "/" and location.startswith(f"{home}/") else location


def _quoted(location: str) -> str:
    # A shell does not replace a tilde in quotes.
    return f"~/{shlex.quote(location[2:])}" if location.startswith("~/") else shlex.quote(location)
