"""fit(): the training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from segray.activity import each
from segray.clock import working_time
from segray.data.batches.loaders import Batch
from segray.engine.distributed import max_over_ranks, rank, sum_over_ranks
from segray.engine.endings import Diverged, Infeasible, Interrupted
from segray.engine.hold import Hold, rest
from segray.engine.memory import PeakMemory
from segray.engine.state import TrainState
from segray.engine.steps import Step
from segray.objective import MIOU, Objective
from segray.records import EpochRecord

__all__ = ["TRAINING", "Diverged", "EpochLoader", "Hold", "Infeasible", "Interrupted", "fit"]

TRAINING = "training on a batch"
"""The activity of a process in a training step, where it may wait for the gradients of other ranks."""


class EpochLoader(Protocol):
    """The training batches of this rank: equally many on every rank, redrawn every epoch, the same in every run."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""


def fit(
    state: TrainState,
    step: Step,
    train_loader: EpochLoader,
    validate: Callable[[nn.Module], dict[str, float | None]],
    *,
    objective: Objective = MIOU,
    attempt: int = 1,
    interrupted: Callable[[], bool] = lambda: False,
    hold: Hold | None = None,
) -> Iterator[EpochRecord]:
    """Train from the state's epoch to the last one, and yield a record after every epoch.

    The caller owns the state. While the generator is suspended, the state is complete and can be saved as a checkpoint.
    With torch.distributed every rank runs this; all ranks yield equal records and raise the same exceptions.

    Args:
        state: The run, new or restored; changed in place.
        step: The training step, called once per batch.
        train_loader: This rank's training batches.
        validate: Evaluates a model on the validation split, and returns its scores by name.
        objective: Says which of the scores is best; the best checkpoint and ``train.patience`` follow it. With
            ``data.all_data``, every epoch is the best one so far.
        attempt: Number of this start of the run, from 1; kept in the records.
        interrupted: Called between batches; True on any rank ends the run on all ranks.
        hold: Asked between training batches; all ranks wait if any rank must. The records' times leave the wait out.

    Yields:
        One record per completed epoch; the last is of epoch ``train.epochs`` or of an early stop.

    Raises:
        Interrupted: ``interrupted`` returned True on some rank.
        Diverged: The training loss became NaN or infinite.
    """
    peak_memory = PeakMemory(state.device)
    while not state.is_finished:
        epoch, epoch_started = state.epoch + 1, working_time()
        trained = _train_epoch(state, step, train_loader, interrupted, hold)
        train_seconds = working_time() - epoch_started

        scores = validate(state.kept_model)
        score = scores[objective.name]
        state.epoch = epoch
        # A score on images that trained the model must choose nothing, so the last weights are kept.
        if state.config.data.all_data or objective.rank(score) > objective.rank(state.best_score):
            state.best_score, state.best_epoch = score, epoch

        yield EpochRecord(
            epoch=epoch,
            attempt=attempt,
            **trained.means,
            scores=scores,
            learning_rate=trained.learning_rate,
            images_per_second=trained.num_images / train_seconds,
            epoch_seconds=working_time() - epoch_started,
            peak_memory_bytes=peak_memory.num_bytes(),
            best_score=state.best_score,
            best_epoch=state.best_epoch,
        )


class _TrainedEpoch(NamedTuple):
    """The training half of an epoch's record, equal on every rank."""

    means: dict[str, float]
    """A step's scalars, averaged over the epoch"""
    num_images: int
    learning_rate: float
    """The rate of the last step; NaN if the epoch had no step"""


def _train_epoch(
    state: TrainState, step: Step, train_loader: EpochLoader, interrupted: Callable[[], bool], hold: Hold | None
) -> _TrainedEpoch:
    """Train the epoch after the state's; the state's epoch is not yet counted up.

    Raises:
        Interrupted: ``interrupted`` returned True on some rank.
        Diverged: The training loss became NaN or infinite.
    """
    epoch = state.epoch + 1
    # Reading a loss from a GPU waits for the device, so it is read only at every tenth step.
    check_every = 1 if state.device.type == "cpu" else 10
    torch.manual_seed(_epoch_seed(state.config.seed, epoch))
    train_loader.set_epoch(epoch)
    state.model.train()
    totals = _Totals(state.device)
    num_steps = 0
    learning_rate = math.nan
    for batch in each(train_loader, getting="loading a training batch", using=TRAINING):
        if num_steps % check_every == 0:
            _check(totals, interrupted, hold, epoch, num_steps)
        learning_rate = state.optimizer.param_groups[0]["lr"]
        totals.add(step(state, batch), len(batch.indices))
        num_steps += 1
    _check(totals, interrupted, hold, epoch, num_steps)
    means, num_images = totals.over_ranks()
    return _TrainedEpoch(means, num_images, learning_rate)


def _epoch_seed(seed: int, epoch: int) -> int:
    # With one seed per epoch, a resumed run draws the same numbers as an unbroken run, and a checkpoint need not keep
    # the states of random generators.
    return int(np.random.SeedSequence((seed, epoch, rank())).generate_state(1)[0])


class _Totals:
    """Sums of a step's scalars over an epoch, kept on the device; all steps have the same number of images."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(1, dtype=torch.float64, device=device)
        self._names: tuple[str, ...] = ()
        self._num_steps = self._num_images = 0

    def add(self, means: Mapping[str, Tensor], num_images: int) -> None:
        self._names = tuple(means)
        self.sums = self.sums + torch.stack(list(means.values())).double()
        self._num_steps += 1
        self._num_images += num_images

    def over_ranks(self) -> tuple[dict[str, float], int]:
        """Return the mean of each scalar by name, and the number of images."""
        counts = self.sums.new_tensor([self._num_steps, self._num_images])
        *sums, num_steps, num_images = sum_over_ranks(torch.cat([self.sums, counts])).tolist()
        return {name: total / num_steps for name, total in zip(self._names, sums, strict=True)}, int(num_images)


def _check(totals: _Totals, interrupted: Callable[[], bool], hold: Hold | None, epoch: int, num_steps: int) -> None:
    """Raise Interrupted or Diverged on all ranks if any rank has a reason; let all ranks wait if any must.

    A wait may end because the run must, so the ranks look again after it.
    """
    sums = totals.sums
    while True:
        stops, waits = interrupted(), hold is not None and hold.is_wanted()
        flags = torch.stack(
            [sums.new_tensor(stops), sums.isfinite().all().logical_not().double(), sums.new_tensor(waits)]
        )
        stop, diverged, held = max_over_ranks(flags).tolist()
        if diverged:
            raise Diverged(epoch, num_steps)
        if stop:
            raise Interrupted
        if not held or hold is None:
            return
        rest(hold)
