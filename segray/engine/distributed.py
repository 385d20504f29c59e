"""Sums, maxima, gradients and buffers over the ranks of torch.distributed; with one process, the plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segray.activity import waiting_for_others

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's rank, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum a tensor over ranks, in place; every rank gets the sum."""
    if world_size() > 1:
        with waiting_for_others():
            dist.all_reduce(values, op=dist.ReduceOp.SUM)
    return values


def max_over_ranks(values: Tensor) -> Tensor:
    """Take a tensor's elementwise maximum over ranks, in place; every rank gets the maximum."""
    if world_size() > 1:
        with waiting_for_others():
            dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return values


def gather_over_ranks(value: T) -> Sequence[T]:
    """Return every rank's value, in the order of ranks; a value is any small picklable object."""
    if world_size() == 1:
        return [value]
    values = [value] * world_size()
    with waiting_for_others():
        dist.all_gather_object(values, value)
    return values


def from_first_rank(make: Callable[[], T]) -> T:
    """Call ``make`` on rank 0 only and return its result, any small picklable object, on every rank."""
    values = [make() if rank() == 0 else None]
    if world_size() > 1:
        with waiting_for_others():
            dist.broadcast_object_list(values, src=0)
    return cast(T, values[0])


def data_parallel(model: nn.Module, device: torch.device, *, static_graph: bool = False) -> nn.Module:
    """Wrap a model so that its backward averages gradients over ranks; with one process, return the model itself.

    Args:
        model: A model on ``device``, equal on every rank; called once between two updates.
        device: The model's device.
        static_graph: True for a model that may leave parameters unused, the same ones at every step. They are found
            once, at the first step; find_unused_parameters would search at every step.
    """
    if world_size() == 1:
        return model
    # broadcast_buffers makes the buffers equal once, before validation; syncing here would cost a broadcast per step.
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        forward_sync_buffers=False,
        static_graph=static_graph,
    )


def broadcast_buffers(model: nn.Module) -> None:
    """Copy the buffers of rank 0 to every rank: BatchNorm statistics differ, because each rank sees other images."""
    if world_size() > 1:
        with waiting_for_others():
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)
