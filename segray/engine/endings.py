"""How a run ends before its last epoch, as exceptions that every rank raises alike."""

from __future__ import annotations


class Interrupted(Exception):  # noqa: N818 - control flow, not an error
    """The caller asked to stop between two batches; the state is in the middle of an epoch."""


class Diverged(Exception):  # noqa: N818 - an outcome of a trial, not an error of the program
    """The training loss became NaN or infinite.

    Attributes:
        epoch: The epoch it happened in, from 1.
        step: The step of that epoch at which it was noticed, from 1.
    """

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(f"the training loss was NaN or infinite by step {step} of epoch {epoch}")
        self.epoch = epoch
        self.step = step

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, int]]:
        return Diverged, (self.epoch, self.step)
