"""Joining or starting a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import ray
from ray._common.utils import get_ray_address_file
from ray._private import services

from segray.cluster.orphans import free_orphans
from segray.cluster.watch import watch_ray
from segray.errors import ClusterError, ResourceError

ANSWER_SECONDS = 5.0
"""How long the head of a cluster may take to answer; Ray itself would try for minutes."""


class Connection:
    """A cluster, joined or started while the caller does something else; use as a context manager.

    Args:
        when_lost: Called in a thread of its own when Ray's node process on this machine, or the head, is gone. No call
            to Ray can be trusted to return then.

    It joins the cluster that RAY_ADDRESS or a running ``ray start`` names, or starts one on this machine that ends with
    the context. All of it happens in one thread: Linux ends Ray's processes with the thread that started them.
    """

    def __init__(self, when_lost: Callable[[ClusterError], None] = lambda _error: None) -> None:
        self._ready, self._close = threading.Event(), threading.Event()
        self._when_lost = when_lost
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="ray-connection", daemon=True)

    def __enter__(self) -> Connection:
        _check_that_it_answers()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close.set()
        self._thread.join()

    def nodes(self) -> list[dict[str, float]]:
        """Ray resources of every living node; waits until the cluster is there.

        Raises:
            ResourceError: There is no cluster where one should be joined, or none could be started.
        """
        self._ready.wait()
        if self._error:
            raise ResourceError(f"cannot join or start a Ray cluster: {self._error}") from None
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def _run(self) -> None:
        # A slot is several processes, most of which wait: let more of them start at once than there are CPUs.
        os.environ.setdefault("RAY_worker_maximum_startup_concurrency", "16")
        try:
            with _sessions_of_their_own():
                ray.init(logging_level=logging.ERROR, log_to_driver=False)
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
    """Let nobody else read the token that opens this person's clusters: Ray writes it for every user of the machine."""
    with suppress(OSError):
        (Path.home() / ".ray" / "auth_token").chmod(0o600)


def _check_that_it_answers() -> None:
    """Raise ResourceError unless the cluster that Ray would join is there, or none is named."""
    address, named_by = os.environ.get("RAY_ADDRESS", ""), "RAY_ADDRESS"
    if address in ("", "auto"):
        file = Path(get_ray_address_file(None))
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


@contextmanager
def _sessions_of_their_own() -> Iterator[None]:
    """Keep from Ray's processes what a terminal, `timeout`, `docker stop` or Slurm sends to this one's process group.

    The driver must hear SIGTERM first, and end the workers between two batches. Ray 2.60 blocks only SIGINT.
    """
    popen = services.ConsolePopen
    services.ConsolePopen = partial(popen, start_new_session=True)
    try:
        yield
    finally:
        services.ConsolePopen = popen
