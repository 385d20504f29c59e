"""Names of the user attributes and of the constraint that a sweep adds to its trials in the study."""

from typing import Final

EPOCHS: Final = "epochs"
"""User attribute: number of epochs of the trial's schedule"""
PAUSED: Final = "paused"
"""User attribute: whether the trial, RUNNING to Optuna, has left its slot and may go on later"""
SECONDS: Final = "epoch_seconds"
"""User attribute: mean time of the trial's epochs so far"""
OTHERS: Final = "others"
"""User attribute: values of the objectives after the main one, by name"""
INFEASIBLE: Final = "infeasible"
"""Constraint: above 0 for a trial whose values cannot be trained"""
INFEASIBLE_ENDS: Final = ("diverged", "out_of_memory", "infeasible")
"""Outcomes that follow from a trial's values: they would end the same way again"""
