"""What one batch does. A step is called with the state and this rank's batch and returns detached scalars by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from segray.data.batches.loaders import Batch
from segray.engine.distributed import sum_over_ranks, world_size
from segray.engine.precision import autocast
from segray.engine.state import TrainState
from segray.labels import IGNORE_INDEX

Step = Callable[[TrainState, Batch], Mapping[str, Tensor]]
"""Gives means over the batch under names of EpochRecord, ``train_loss`` among them; the same names every time."""


def to_device(batch: Batch, device: torch.device, *, channels_last: bool) -> tuple[Tensor, Tensor]:
    """The batch's photos (uint8, BCHW) and labels (int64, BHW) on a device."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    photos_BCHW = batch.photos_BCHW.to(device, non_blocking=True, memory_format=layout)
    labels_BHW = batch.labels_BHW.to(device, non_blocking=True).long()
    return photos_BCHW, labels_BHW


class SupervisedStep:
    """Learn from labelled photos: forward, loss, backward, optimiser, schedule, moving average.

    Ranks and micro-batches count by their labelled pixels, so a loss that is a mean over labelled pixels has the
    gradients of the whole batch, however that is split. Any other loss is the mean of what it is on the parts.

    Args:
        loss: (logits_BCHW, labels_BHW) -> scalar, a mean over the batch.
        device: Where the model lies.
        precision: dtype of autocast, as ``resolve_precision`` gives it.
        micro_batches: Parts the batch is split into to save memory, as even as can be; more than its images is its
            images. BatchNorm sees the parts, not the whole.
    """

    def __init__(
        self, loss: nn.Module, device: torch.device, precision: torch.dtype, *, micro_batches: int = 1
    ) -> None:
        self.loss = loss.to(device)
        self.device = device
        self.precision = precision
        self.micro_batches = micro_batches

    def __call__(self, state: TrainState, batch: Batch) -> dict[str, Tensor]:
        """Train on one batch.

        Returns:
            ``train_loss``: a detached float32 scalar on the device, whose mean over ranks is that of the whole batch.
        """
        photos_BCHW, labels_BHW = to_device(batch, self.device, channels_last=state.config.train.channels_last)
        labelled_BHW = labels_BHW != IGNORE_INDEX
        num_labelled = mean_over_ranks(labelled_BHW.sum())
        batch_loss = torch.zeros((), device=self.device)
        num_parts = min(self.micro_batches, len(photos_BCHW))
        for photos, labels, labelled in zip(
            *(whole.tensor_split(num_parts) for whole in (photos_BCHW, labels_BHW, labelled_BHW)), strict=True
        ):
            with autocast(self.device, self.precision):
                logits = state.model(photos)
            loss = self.loss(logits.float(), labels) * (labelled.sum() / num_labelled)
            loss.backward()
            batch_loss += loss.detach()

        update_model(state)
        return {"train_loss": batch_loss}


def mean_over_ranks(count: Tensor) -> Tensor:
    """A count's mean over ranks, at least one in all: what DistributedDataParallel's mean of gradients divides by."""
    return sum_over_ranks(count).clamp(min=1) / world_size()


def update_model(state: TrainState) -> None:
    """Move the model along its gradients, clear them, and let schedule and moving average follow."""
    if state.config.optim.grad_clip is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), state.config.optim.grad_clip)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.schedule.step()
    if state.ema:
        state.ema.update(state.network, num_steps=state.schedule.last_epoch)
