"""The meeting of a group's workers in torch.distributed: Train's TorchConfig without torch in Train's controller."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import ray.train
from ray.train.backend import Backend, BackendConfig

from segray.cluster.deaths import Death, find_death
from segray.cluster.handle import ChannelHandle, wait_for
from segray.cluster.ray_internals import TrainWorkers, failed_ranks, worker_processes

START = "SEGRAY_GROUP_START"
"""Environment variable of a worker: the number of the group's start that it belongs to"""

COLLECTIVE_TIMEOUT = timedelta(minutes=30)
"""Rank 0 may write a large checkpoint to slow storage while the others wait."""


@dataclass
class RendezvousConfig(BackendConfig):
    """Settings for Train that make it tell every worker the number of its group's start; the workers do the rest.

    TorchConfig would import torch, which takes seconds and 300 MB, in a slot's actor and in its controller.
    """

    channel: ChannelHandle
    slot: str

    @property
    def backend_cls(self) -> type[Backend]:
        """The class that Train calls when a group starts and ends."""
        return _Rendezvous


class _Rendezvous(Backend):
    share_cuda_visible_devices = True
    """NCCL copies between the GPUs of a node, and must see them all"""

    def on_start(self, worker_group: TrainWorkers, backend_config: RendezvousConfig) -> None:
        start = wait_for(backend_config.channel.starting.remote(backend_config.slot))
        self._start = start or 0
        if start is None:
            # Train restarts a group whose workers die without end, but gives up when a callback raises.
            raise RuntimeError("the group's workers died again and again before they were ready for a trial")
        worker_group.execute(_remember, start)

    def on_shutdown(self, worker_group: TrainWorkers, backend_config: RendezvousConfig) -> None:
        death = _find_death(worker_group)
        about = (death.rank, death.reason, death.log) if death else (None, "", "")
        wait_for(backend_config.channel.stopping.remote(backend_config.slot, self._start, *about))


def _find_death(worker_group: TrainWorkers) -> Death | None:
    """Return the first death in a group that is about to be ended; None if no worker died."""
    errors = failed_ranks(worker_group)
    return find_death(worker_processes(worker_group), errors) if errors else None


def _remember(start: int) -> None:
    os.environ[START] = str(start)


def join_process_group(channel: ChannelHandle, slot: str, device: Literal["cpu", "cuda"]) -> None:
    """Meet the group's other workers in torch.distributed."""
    import torch
    import torch.distributed as dist

    from segray.cluster.store import make_store, stay_on_loopback

    context = ray.train.get_context()
    rank, world_size, start = context.get_world_rank(), context.get_world_size(), int(os.environ[START])
    if device == "cuda":
        from ray.train.torch import get_device

        torch.cuda.set_device(get_device())
    if context.get_local_world_size() == world_size:
        stay_on_loopback()
    # NCCL's monitor would look into the store every second, from a thread that cannot run Python as the process ends.
    os.environ.setdefault("TORCH_NCCL_DUMP_ON_TIMEOUT", "0")
    dist.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        store=make_store(channel, slot, start, world_size),
        rank=rank,
        world_size=world_size,
        timeout=COLLECTIVE_TIMEOUT,
    )
