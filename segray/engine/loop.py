"""fit(): the training loop, from the first epoch to the last record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from segray.activity import each
from segray.data.batches.loaders import Batch
from segray.engine.distributed import max_over_ranks, rank, sum_over_ranks
from segray.engine.endings import Diverged, Interrupted
from segray.engine.evaluate import Evaluation
from segray.engine.memory import PeakMemory
from segray.engine.state import TrainState
from segray.engine.steps import Step
from segray.metrics import scores
from segray.records import EpochRecord

__all__ = ["TRAINING", "Diverged", "EpochLoader", "Interrupted", "fit"]

TRAINING = "training on a batch"
"""What a process does that may wait for the other ranks' gradients"""


class EpochLoader(Protocol):
    """Training batches of this rank: as many on every rank, drawn anew every epoch, the same in every run."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives."""

    def __iter__(self) -> Iterator[Batch]:
        """One epoch's batches."""


def fit(
    state: TrainState,
    step: Step,
    train_loader: EpochLoader,
    validate: Callable[[nn.Module], Evaluation],
    *,
    attempt: int = 1,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[EpochRecord]:
    """Train from the state's epoch to the config's last, yielding a record after every epoch.

    The caller owns the state: while the generator is suspended it is whole, and is what a checkpoint keeps.
    With torch.distributed every rank runs this, and all get equal records and raise alike.

    Args:
        state: The run, new or restored; changed in place.
        step: What one batch does.
        train_loader: This rank's training batches.
        validate: Evaluates the model that it is given.
        attempt: Which start of the run this is, from 1; noted in the records.
        interrupted: Asked between batches; True on any rank ends the run on all of them.

    Yields:
        One record per completed epoch; the last is that of ``train.epochs`` or of an early stop.

    Raises:
        Interrupted: ``interrupted`` gave True.
        Diverged: The training loss became NaN or infinite.
    """
    peak_memory = PeakMemory(state.device)
    # To look at a loss on a GPU is to wait for it, so it is done now and then.
    check_every = 1 if state.device.type == "cpu" else 10
    while not state.is_finished:
        epoch, epoch_started = state.epoch + 1, time.perf_counter()
        torch.manual_seed(_epoch_seed(state.config.seed, epoch))
        train_loader.set_epoch(epoch)
        state.model.train()
        totals = _Totals(state.device)
        num_steps = 0
        learning_rate = math.nan
        for batch in each(train_loader, getting="loading a training batch", using=TRAINING):
            if num_steps % check_every == 0:
                _check(totals, interrupted(), epoch, num_steps)
            learning_rate = state.optimizer.param_groups[0]["lr"]
            totals.add(step(state, batch), len(batch.indices))
            num_steps += 1
        _check(totals, interrupted(), epoch, num_steps)
        means, num_images = totals.over_ranks()
        train_seconds = time.perf_counter() - epoch_started

        evaluation = validate(state.kept_model)
        val = scores(evaluation.confusion)
        state.epoch = epoch
        if val.miou is not None and (state.best_val_miou is None or val.miou > state.best_val_miou):
            state.best_val_miou, state.best_epoch = val.miou, epoch

        yield EpochRecord(
            epoch=epoch,
            attempt=attempt,
            **means,
            val_loss=evaluation.loss if math.isfinite(evaluation.loss) else None,
            val_miou=val.miou,
            val_iou=val.iou,
            val_pixel_accuracy=val.pixel_accuracy,
            val_mean_class_accuracy=val.mean_class_accuracy,
            val_cluster_accuracy=evaluation.cluster_accuracy,
            val_cluster_miou=evaluation.cluster_miou,
            learning_rate=learning_rate,
            images_per_second=num_images / train_seconds,
            epoch_seconds=time.perf_counter() - epoch_started,
            peak_memory_bytes=peak_memory.num_bytes(),
            best_val_miou=state.best_val_miou,
            best_epoch=state.best_epoch,
        )


def _epoch_seed(seed: int, epoch: int) -> int:
    # Seeding every epoch, not keeping generator states, makes a resumed run draw what the unbroken one drew.
    return int(np.random.SeedSequence((seed, epoch, rank())).generate_state(1)[0])


class _Totals:
    """What a step returned, added up over an epoch's steps, all of which have as many images; stays on the device."""

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
        """Means by name, and the number of images."""
        counts = self.sums.new_tensor([self._num_steps, self._num_images])
        *sums, num_steps, num_images = sum_over_ranks(torch.cat([self.sums, counts])).tolist()
        return {name: total / num_steps for name, total in zip(self._names, sums, strict=True)}, int(num_images)


def _check(totals: _Totals, interrupted: bool, epoch: int, num_steps: int) -> None:
    sums = totals.sums
    flags = torch.stack([sums.new_tensor(interrupted), sums.isfinite().all().logical_not().double()])
    stop, diverged = max_over_ranks(flags).tolist()
    if diverged:
        raise Diverged(epoch, num_steps)
    if stop:
        raise Interrupted
