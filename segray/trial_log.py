"""The log of a trial, for a person to read."""

from __future__ import annotations

from datetime import UTC, datetime

from segray import text
from segray.folder import Folder
from segray.objective import Objective, find_objective
from segray.records import EpochRecord


class TrialLog:
    """The trial's log.txt with one line per event; with folder None (ranks other than 0), nothing is kept."""

    def __init__(self, folder: Folder | None) -> None:
        self._folder = folder
        earlier = folder is not None and not folder.is_local and folder.exists("log.txt")
        self._lines = folder.read_bytes("log.txt").decode(errors="replace").splitlines() if folder and earlier else []

    def write(self, said: str) -> None:
        """Add lines, each with the time of day (UTC)."""
        if self._folder is None:
            return
        lines = [f"{datetime.now(UTC):%H:%M:%S} {line}" for line in said.splitlines()]
        if self._folder.is_local:
            self._folder.append_line("log.txt", "\n".join(lines))
        else:
            self._lines += lines
            self._folder.write_bytes("log.txt", "\n".join(self._lines).encode() + b"\n")


def epoch_line(record: EpochRecord, num_epochs: int, objective: Objective) -> str:
    """Return an epoch's losses and scores in a line."""
    discriminator = ""
    if record.train_discriminator_loss is not None:
        discriminator = (
            f"discriminator loss {text.decimal(record.train_discriminator_loss)}, right about "
            f"{text.decimal(record.train_real_accuracy)} of real and {text.decimal(record.train_fake_accuracy)} of "
            "fake patches, "
        )
    shown = dict.fromkeys(("val_loss", "val_miou", objective.name))
    scores = [f"{find_objective(name).label} {text.decimal(record.scores[name])}" for name in shown]
    return (
        f"epoch {record.epoch}/{num_epochs}: train loss {text.decimal(record.train_loss)}, {discriminator}"
        f"{', '.join(scores)} (best {text.decimal(record.best_score)}), "
        f"{record.images_per_second:.1f} images/s, {record.epoch_seconds:.1f} s"
    )
