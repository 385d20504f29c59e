"""Watch Ray's process on this machine (the raylet) and the cluster's head (GCS) for a driver.

When the raylet is gone, Ray 2.60 raises nothing in the driver: calls wait for ever, or the process ends with exit
code 1. When the head is gone, Ray tries to reach it for 60 s, then ends the process.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time

from segray.cluster import ray_internals
from segray.errors import ClusterError

LOOK_SECONDS = 1.0

HEAD_SILENCE_SECONDS = 30.0
"""Time for which the head may refuse connections; Ray itself gives up after twice that time."""


def watch_ray(close: threading.Event) -> ClusterError | None:
    """Wait until Ray fails, or ``close`` is set.

    Returns:
        The failure, or None after ``close``.
    """
    # A descriptor, not the id: the system may give a dead process's id to another process.
    raylet = os.pidfd_open(_listener(ray_internals.raylet_socket()))
    try:
        return _watch(raylet, ray_internals.head_address(), close)
    finally:
        os.close(raylet)


def _watch(raylet: int, head: str, close: threading.Event) -> ClusterError | None:
    ended = select.poll()
    ended.register(raylet, select.POLLIN)
    answered = next_look = time.monotonic()
    while not close.is_set():
        if ended.poll(1000 * LOOK_SECONDS):
            return ClusterError("its process on this machine, the raylet, has ended")
        now = time.monotonic()
        if now >= next_look:
            next_look = now + 5 * LOOK_SECONDS
            if _answers(head):
                answered = time.monotonic()
        if time.monotonic() - answered > HEAD_SILENCE_SECONDS:
            return ClusterError(f"its head at {head} has not answered for {HEAD_SILENCE_SECONDS:g} s")
    return None


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5 * LOOK_SECONDS).close()
    except OSError:
        return False
    return True


def _listener(path: str) -> int:
    """Return the id of the process that listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])
