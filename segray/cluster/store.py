"""How the workers of a group find each other: a torch.distributed store in the sweep's channel, or in the process."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import ray
from torch.distributed import HashStore, Store  # type: ignore[attr-defined]


def make_store(channel: Any, slot: str, start: int, world_size: int) -> Store:
    """A store for the workers of one start of a group; unlike torch's own it opens no port that serves whoever calls.

    Args:
        channel: Handle of the sweep's channel actor.
        slot: The group's slot.
        start: Which of its starts.
        world_size: Workers of the group; one alone has nobody to find.
    """
    return HashStore() if world_size == 1 else ChannelStore(channel, slot, start)


def stay_on_loopback() -> None:
    """Have gloo's own connections, which ask nobody either, stay inside this machine; for a group on one node."""
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


class ChannelStore(Store):
    """Keys and values in the channel, which only this Ray cluster's own processes reach."""

    def __init__(self, channel: Any, slot: str, start: int) -> None:
        super().__init__()
        self._channel, self._place = channel, (slot, start)

    def set(self, key: str, value: str | bytes) -> None:
        """Keep a value."""
        content = value.encode() if isinstance(value, str) else bytes(value)
        ray.get(self._channel.store_set.remote(*self._place, key, content))

    def get(self, key: str) -> bytes:
        """Wait for a value."""
        [value] = ray.get(self._channel.store_get.remote(*self._place, [key]))
        return bytes(value)

    def add(self, key: str, value: int) -> int:
        """Add to a number, which begins at 0; returns the sum."""
        return int(ray.get(self._channel.store_add.remote(*self._place, key, value)))

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all keys have a value."""
        return bool(ray.get(self._channel.store_has.remote(*self._place, list(keys))))

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until all keys have a value.

        Raises:
            GetTimeoutError: They did not get one in time.
        """
        seconds = None if timeout is None else timeout.total_seconds()
        ray.get(self._channel.store_get.remote(*self._place, list(keys)), timeout=seconds)
