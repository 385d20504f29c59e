"""Where the workers of a group meet: what Train's own TorchConfig does, without torch in Train's controller."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig


@dataclass
class RendezvousConfig(BackendConfig):
    """Has Train tell every worker of a group its first worker's address, as torchrun does; workers do the rest.

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
        if not ray.get(backend_config.channel.starting.remote(backend_config.slot)):
            # Train restarts a group whose workers die for ever, but ends it with what its callbacks raise.
            raise RuntimeError("the group's workers died again and again before they were ready for a trial")
        address, port = worker_group.execute_single(0, _free_address)
        worker_group.execute(_remember, address, port)


def _free_address() -> tuple[str, int]:
    address = ray.util.get_node_ip_address()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
        listener.bind(("", 0))
        return address, listener.getsockname()[1]


def _remember(address: str, port: int) -> None:
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = address, str(port)
