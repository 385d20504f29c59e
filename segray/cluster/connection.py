"""Joining or starting a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray


@contextmanager
def connected() -> Iterator[None]:
    """Join the cluster that RAY_ADDRESS or a running ``ray start`` names, or start one on this machine for a while."""
    # A slot is several processes, most of which wait: let more of them start at once than there are CPUs.
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", "16")
    # The dashboard stays on, as it is by default: without it the State API is off, and Train's cleaner could not
    # free what a killed trial held.
    ray.init(logging_level=logging.ERROR, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def living_nodes() -> list[dict[str, float]]:
    """Ray resources of every living node."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
