"""The store in which the workers of a group find each other: in the sweep's channel, or inside a single process."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta

from torch.distributed import HashStore, Store  # type: ignore[attr-defined]

from segray.cluster.handle import ChannelHandle, wait_for


def make_store(channel: ChannelHandle, slot: str, start: int, world_size: int) -> Store:
    """Return a torch.distributed store for the workers of one start of a group.

    Unlike torch's own store, this one opens no port that serves any caller.

    Args:
        channel: The sweep's channel.
        slot: The group's slot.
        start: The number of the group's start.
        world_size: Workers of the group; a single worker has nobody to find.
    """
    return HashStore() if world_size == 1 else ChannelStore(channel, slot, start)


def stay_on_loopback() -> None:
    """Keep gloo's own connections, which have no password, inside this machine; for a group on one node."""
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


class ChannelStore(Store):
    """A store in the channel, which only this Ray cluster's own processes reach."""

    def __init__(self, channel: ChannelHandle, slot: str, start: int) -> None:
        super().__init__()
        self._channel, self._place = channel, (slot, start)

    def set(self, key: str, value: str | bytes) -> None:
        """Keep a value."""
        content = value.encode() if isinstance(value, str) else bytes(value)
        wait_for(self._channel.store_set.remote(*self._place, key, content))

    def get(self, key: str) -> bytes:
        """Wait for a value and return it."""
        [value] = wait_for(self._channel.store_get.remote(*self._place, [key]))
        return value

    def add(self, key: str, value: int) -> int:
        """Add to a number, which begins at 0; return the sum."""
        return wait_for(self._channel.store_add.remote(*self._place, key, value))

    def check(self, keys: Sequence[str]) -> bool:
        """Return whether all keys have a value."""
        return wait_for(self._channel.store_has.remote(*self._place, list(keys)))

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Wait until all keys have a value.

        Raises:
            GetTimeoutError: A key got no value in time.
        """
        seconds = None if timeout is None else timeout.total_seconds()
        wait_for(self._channel.store_get.remote(*self._place, list(keys)), seconds)
