"""Joining or starting a Ray cluster."""

from __future__ import annotations

import logging
import os
import threading

import ray

from segray.errors import ResourceError


class Connection:
    """A cluster, joined or started while the caller does something else; use as a context manager.

    It joins the cluster that RAY_ADDRESS or a running ``ray start`` names, or starts one on this machine that ends with
    the context. All of it happens in one thread: Linux ends Ray's processes with the thread that started them.
    """

    def __init__(self) -> None:
        self._ready, self._close = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="ray-connection", daemon=True)

    def __enter__(self) -> Connection:
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
            # The dashboard stays on, as it is by default: without it the State API is off, and Train's cleaner could
            # not free what a killed trial held.
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:
            self._error = error
        self._ready.set()
        self._close.wait()
        ray.shutdown()
