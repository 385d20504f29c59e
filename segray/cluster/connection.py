"""Join a Ray cluster, or start one."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import ray

from segray.cluster.orphans import free_orphans
from segray.cluster.ray_internals import address_file, largest_gpu_bytes, sessions_of_their_own, token_file
from segray.cluster.watch import watch_ray
from segray.errors import ClusterError, ResourceError

ANSWER_SECONDS = 5.0
"""Time for the head of a cluster to answer; Ray itself would try for minutes."""


class Connection:
    """A context manager that joins or starts a cluster while the caller does something else.

    The connection joins the cluster that RAY_ADDRESS or a running ``ray start`` names. Without one, it starts a cluster
    on this machine that ends with the context. Everything happens in one thread, since Linux ends Ray's processes with
    the thread that started them.

    Args:
        when_lost: Called in a thread of its own when Ray's process on this machine or the head is gone. After that, no
            call to Ray can be trusted to return.
    """

    def __init__(self, when_lost: Callable[[ClusterError], None] = lambda _error: None) -> None:
        self._ready, self._close = threading.Event(), threading.Event()
        self._when_lost = when_lost
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="ray-connection", daemon=True)

    def __enter__(self) -> Connection:
        _check_cluster_answers()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close.set()
        self._thread.join()

    def nodes(self) -> list[dict[str, float]]:
        """Wait until the cluster is there, and return the Ray resources of every living node.

        Raises:
            ResourceError: The cluster cannot be joined, or none could be started.
        """
        self._ready.wait()
        if self._error:
            raise ResourceError(f"cannot join or start a Ray cluster: {self._error}") from None
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def gpu_bytes(self) -> int | None:
        """Return the memory of the largest GPU; None if it is not known, as in a cluster of several nodes."""
        return largest_gpu_bytes() if len(self.nodes()) == 1 else None

    def _run(self) -> None:
        # A slot is several processes, and most of them wait: let more of them start at once than there are CPUs.
        os.environ.setdefault("RAY_worker_maximum_startup_concurrency", "16")
        try:
            with sessions_of_their_own():
                ray.init(logging_level=logging.ERROR, log_to_driver=False)
            # After ray.init(), which writes the token's file for a cluster that it starts.
            _hide_token()
        except Exception as error:
            self._error = error
        freeing = threading.Thread(target=free_orphans, args=(self._close,), name="free-orphans", daemon=True)
        if self._error is None:
            freeing.start()
            if sys.platform == "linux":
                threading.Thread(target=self._watch, name="ray-watch", daemon=True).start()
        self._ready.set()
        self._close.wait()
        if freeing.is_alive():
            freeing.join(ANSWER_SECONDS)
        ray.shutdown()

    def _watch(self) -> None:
        lost = watch_ray(self._close)
        if lost is not None and not self._close.is_set():
            self._when_lost(lost)


def _hide_token() -> None:
    """Make the token that opens this person's clusters private: Ray lets every user of the machine read it."""
    with suppress(OSError):
        token_file().chmod(0o600)


def _check_cluster_answers() -> None:
    """Raise ResourceError if the cluster that Ray would join does not answer."""
    address, named_by = os.environ.get("RAY_ADDRESS", ""), "RAY_ADDRESS"
    if address in ("", "auto"):
        file = address_file()
        address, named_by = file.read_text().strip() if file.exists() else "", f"`ray start` named it in {file}"
    if address in ("", "local"):
        return
    if "://" in address:
        raise ResourceError(
            f"RAY_ADDRESS must be HOST:PORT of a cluster that this machine belongs to, but got {address!r}; from "
            "elsewhere, submit the sweep with `ray job submit`"
        )
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ResourceError(
            f"no Ray cluster answers at {address!r} ({named_by}): {error}; start it, or set RAY_ADDRESS=local to use "
            "this machine alone"
        ) from None
