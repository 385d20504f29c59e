"""Whether one side of a GAN has won: then the model learns nothing from its discriminator any more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from segray.records import EpochRecord

NUM_EPOCHS = 3
"""Epochs in a row after which it is no chance."""

MARGIN = 0.005
"""How near an accuracy lies to 0 or 1 to count as that."""

_WORDS = {
    (1, 1): "told all real label images from all of the model's",
    (0, 0): "was wrong about every label image, real or the model's",
    (1, 0): "took every label image for real",
    (0, 1): "took no label image for real",
}


def collapse_warning(records: Sequence[EpochRecord]) -> str:
    """A sentence on the longest time in which the discriminator's accuracies stood at 0 or 1; empty if there is none.

    Args:
        records: A trial's, by epoch.
    """
    runs = [(state, list(run)) for state, run in groupby(records, key=_state) if state is not None]
    state, longest = max(runs, key=lambda item: len(item[1]), default=(None, []))
    if state is None or len(longest) < NUM_EPOCHS:
        return ""
    return (
        f"the discriminator {_WORDS[state]} in epochs {longest[0].epoch} to {longest[-1].epoch}: its part in the "
        "training had collapsed, and what the model learnt then came from its other losses"
    )


def _state(record: EpochRecord) -> tuple[int, int] | None:
    real, fake = record.train_real_accuracy, record.train_fake_accuracy
    if real is None or fake is None or any(min(value, 1 - value) > MARGIN for value in (real, fake)):
        return None
    return round(real), round(fake)
