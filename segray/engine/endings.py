"""Exceptions that end a run before its last epoch; every rank raises the same one."""

from __future__ import annotations


class Interrupted(Exception):  # noqa: N818 - control flow, not an error
    """A stop between two batches, at the caller's request; the state is in the middle of an epoch."""


class Infeasible(Exception):  # noqa: N818 - an outcome of a trial, not an error of the program
    """A network that breaks a constraint of the sweep; the message says which."""


class Diverged(Exception):  # noqa: N818 - an outcome of a trial, not an error of the program
    """A training loss that became NaN or infinite.

    Attributes:
        epoch: The epoch of the loss, from 1.
        step: The step in that epoch at which the loss was checked, from 1.
    """

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(f"the training loss was NaN or infinite by step {step} of epoch {epoch}")
        self.epoch = epoch
        self.step = step

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, int]]:
        return Diverged, (self.epoch, self.step)
