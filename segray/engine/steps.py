"""The training step: a call with the state and this rank's batch, which returns detached scalars by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from segray.data.batches.loaders import Batch
from segray.engine.distributed import sum_over_ranks, world_size
from segray.engine.precision import autocast
from segray.engine.state import TrainState
from segray.labels import IGNORE_INDEX

Step = Callable[[TrainState, Batch], Mapping[str, Tensor]]
"""Returns means over the batch by field names of EpochRecord, always the same names; one is ``train_loss``."""


def to_device(batch: Batch, device: torch.device, *, channels_last: bool) -> tuple[Tensor, Tensor]:
    """Return the batch's photos (uint8, BCHW) and labels (int64, BHW) on a device."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    photos_BCHW = batch.photos_BCHW.to(device, non_blocking=True, memory_format=layout)
    labels_BHW = batch.labels_BHW.to(device, non_blocking=True).long()
    return photos_BCHW, labels_BHW


class MicroBatch(NamedTuple):
    """The images of a batch that go through the networks together, on the training device."""

    photos_BCHW: Tensor
    """RGB in 0..255, uint8"""
    labels_BHW: Tensor
    """Training ids or 255 for void, int64"""

    @property
    def num_labelled(self) -> Tensor:
        """The number of labelled pixels, an int64 scalar."""
        return (self.labels_BHW != IGNORE_INDEX).sum()


def split_batch(batch: Batch, num_parts: int, device: torch.device, *, channels_last: bool) -> list[MicroBatch]:
    """Move a batch to a device and split it into near-equal parts, at most one per image."""
    photos_BCHW, labels_BHW = to_device(batch, device, channels_last=channels_last)
    num_parts = min(num_parts, len(photos_BCHW))
    pairs = zip(photos_BCHW.tensor_split(num_parts), labels_BHW.tensor_split(num_parts), strict=True)
    return [MicroBatch(photos, labels) for photos, labels in pairs]


class SupervisedStep:
    """A step on labelled photos: forward, loss, backward, optimiser, schedule, moving average.

    Ranks and micro-batches are weighted by their labelled pixels. A loss that is a mean over labelled pixels therefore
    has the gradients of the whole batch, however the batch is split. Any other loss is averaged over the parts.

    Args:
        loss: (logits_BCHW, labels_BHW) -> scalar, a mean over the batch.
        device: The model's device.
        precision: dtype of autocast, from ``resolve_precision``.
        micro_batches: Number of near-equal parts that a batch is split into to save memory, at most one per image.
            BatchNorm sees one part at a time.
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
            ``train_loss``: a detached float32 scalar on the device; its mean over ranks is the whole batch's loss.
        """
        channels_last = state.config.train.channels_last
        parts = split_batch(batch, self.micro_batches, self.device, channels_last=channels_last)
        num_labelled = torch.stack([part.num_labelled for part in parts])
        shares = num_labelled / mean_over_ranks(num_labelled.sum())
        batch_loss = torch.zeros((), device=self.device)
        for part, share in zip(parts, shares, strict=True):
            with autocast(self.device, self.precision):
                logits_BCHW = state.model(part.photos_BCHW)
            loss = self.loss(logits_BCHW.float(), part.labels_BHW) * share
            loss.backward()
            batch_loss += loss.detach()

        update_model(state)
        return {"train_loss": batch_loss}


def mean_over_ranks(count: Tensor) -> Tensor:
    """Return a count's mean over ranks; the sum over ranks is taken as at least 1, so that a share is never 0 / 0.

    A rank's count divided by this mean is the weight of its loss, because DistributedDataParallel averages gradients.
    """
    return sum_over_ranks(count).clamp(min=1) / world_size()


def update_model(state: TrainState) -> None:
    """Take an optimiser step on the model, clear its gradients, and update schedule and moving average."""
    if state.config.optim.grad_clip is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), state.config.optim.grad_clip)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.schedule.step()
    if state.ema:
        state.ema.update(state.network, num_steps=state.schedule.last_epoch)
