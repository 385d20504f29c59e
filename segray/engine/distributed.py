"""Sums, maxima, gradients and buffers over the ranks of torch.distributed; plain values where there is one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segray.activity import waiting_for_others

T = TypeVar("T")


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them."""
    return dist.get_rank() if world_size() > 1 else 0


def sum_over_ranks(values: Tensor) -> Tensor:
    """Add a tensor up over ranks, in place; every rank gets the sum."""
    if world_size() > 1:
        with waiting_for_others():
            dist.all_reduce(values, op=dist.ReduceOp.SUM)
    return values


def max_over_ranks(values: Tensor) -> Tensor:
    """Take a tensor's maximum over ranks, in place; every rank gets it."""
    if world_size() > 1:
        with waiting_for_others():
            dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return values


def gather_over_ranks(value: Any) -> Sequence[Any]:
    """Every rank's value, by rank; any small picklable object."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    with waiting_for_others():
        dist.all_gather_object(values, value)
    return values


def from_first_rank(make: Callable[[], T]) -> T:
    """What ``make`` gives on rank 0, where alone it is called, on every rank; any small picklable object."""
    values = [make() if rank() == 0 else None]
    if world_size() > 1:
        with waiting_for_others():
            dist.broadcast_object_list(values, src=0)
    return cast(T, values[0])


def data_parallel(model: nn.Module, device: torch.device, *, static_graph: bool = False) -> nn.Module:
    """The model, which averages its gradients over ranks in its backward where there are several.

    Args:
        model: A model on ``device``, alike on every rank; called once between two updates.
        device: Where it lies.
        static_graph: For a model that may leave parameters unused, always the same ones: they are found at the first
            step, where find_unused_parameters would search at every step.
    """
    if world_size() == 1:
        return model
    # Buffers are made equal once, before validation; to do it at every step would cost a broadcast a step.
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        forward_sync_buffers=False,
        static_graph=static_graph,
    )


def broadcast_buffers(model: nn.Module) -> None:
    """Give every rank the buffers of rank 0: each rank's BatchNorm statistics saw other images."""
    if world_size() > 1:
        with waiting_for_others():
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)
