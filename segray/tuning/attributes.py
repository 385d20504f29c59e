"""User attributes that a sweep gives its trials in the Optuna study."""

from typing import Final

EPOCHS: Final = "epochs"
"""Number of epochs of the trial's schedule"""
PAUSED: Final = "paused"
"""Whether the trial, RUNNING to Optuna, has left its slot and may go on later"""
