"""A check whether one side of a GAN has won: its model then learns nothing more from the discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from segray.records import EpochRecord

NUM_EPOCHS = 3
"""Epochs in a row after which a collapse is no chance."""

MARGIN = 0.005
"""Distance from 0 or 1 within which an accuracy counts as 0 or 1."""


def collapse_warning(records: Sequence[EpochRecord]) -> str:
    """Return a sentence on how long an accuracy of the discriminator stood at 0 or 1; empty if not for long.

    Args:
        records: Records of a trial, by epoch.
    """
    longest = {
        "real label images": _longest(records, [record.train_real_accuracy for record in records]),
        "the model's": _longest(records, [record.train_fake_accuracy for record in records]),
    }
    said = [f"on {kind} in epochs {run[0]} to {run[-1]}" for kind, run in longest.items() if len(run) >= NUM_EPOCHS]
    if not said:
        return ""
    return (
        f"the discriminator's accuracy stood at 0 or 1 {' and '.join(said)}: one side had won, and what the model "
        "learnt then came from its other losses"
    )


def _longest(records: Sequence[EpochRecord], accuracies: Sequence[float | None]) -> list[int]:
    """Return the epochs of the longest run of an accuracy at 0 or 1."""
    # 0 and 1 count alike, so a swing from one to the other does not break the run.
    at_end = [value is not None and min(value, 1 - value) <= MARGIN for value in accuracies]
    epochs = zip(at_end, (record.epoch for record in records), strict=True)
    runs = [[epoch for _, epoch in run] for is_at_end, run in groupby(epochs, key=lambda item: item[0]) if is_at_end]
    return max(runs, key=len, default=[])
