"""How the workers of a group meet: what Train's own TorchConfig does, without torch in Train's controller."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import ray
import ray.train
from ray.train.backend import Backend, BackendConfig

from segray.cluster.deaths import Death, find_death

START = "SEGRAY_GROUP_START"
"""Environment variable of a worker: which of its group's starts it belongs to"""

COLLECTIVE_TIMEOUT = timedelta(minutes=30)
"""Rank 0 may write a large checkpoint to slow storage while the others wait."""


@dataclass
class RendezvousConfig(BackendConfig):
    """Has Train tell every worker of a group which of the group's starts it belongs to; the workers do the rest.

    TorchConfig would import torch, seconds and 300 MB, in a slot's actor and in its controller.
    """

    channel: Any
    """Handle of the sweep's channel actor"""
    slot: str

    @property
    def backend_cls(self) -> type[Backend]:
        """What Train calls when a group starts."""
        return _Rendezvous


class _Rendezvous(Backend):
    share_cuda_visible_devices = True
    """NCCL copies between the GPUs of a node, and must see them all"""

    def on_start(self, worker_group: Any, backend_config: RendezvousConfig) -> None:
        self._start = ray.get(backend_config.channel.starting.remote(backend_config.slot))
        if self._start is None:
            # Train restarts a group whose workers die for ever, but ends it with what its callbacks raise.
            raise RuntimeError("the group's workers died again and again before they were ready for a trial")
        worker_group.execute(_remember, self._start)

    def on_shutdown(self, worker_group: Any, backend_config: RendezvousConfig) -> None:
        death = _death(worker_group)
        about = (death.rank, death.reason, death.log) if death else ()
        ray.get(backend_config.channel.stopping.remote(backend_config.slot, self._start, *about))


def _death(worker_group: Any) -> Death | None:
    """How a worker of a group died that is about to be ended; None where none of them did."""
    status = worker_group.get_latest_poll_status()
    if status is None or not status.errors:
        return None
    workers = {rank: worker.metadata for rank, worker in enumerate(worker_group.get_workers())}
    return find_death({rank: (at.node_id, at.pid) for rank, at in workers.items()}, status.errors)


def _remember(start: int) -> None:
    os.environ[START] = str(start)


def join_process_group(channel: Any, slot: str, device: Literal["cpu", "cuda"]) -> None:
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
    # Its monitor would look into the store every second, from a thread that cannot run Python when the process ends.
    os.environ.setdefault("TORCH_NCCL_DUMP_ON_TIMEOUT", "0")
    dist.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        store=make_store(channel, slot, start, world_size),
        rank=rank,
        world_size=world_size,
        timeout=COLLECTIVE_TIMEOUT,
    )
