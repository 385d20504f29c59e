"""Decoded images built ahead on every node of a cluster, so that no trial waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from segray.cluster.connection import Connection
from segray.config import DataConfig
from segray.data.cache.eviction import folder_bytes, shown
from segray.data.preparation import prepare, with_absolute_paths
from segray.errors import SegrayError


@dataclass(frozen=True, kw_only=True)
class NodeCache:
    """What a node has got."""

    node: str
    """Its host name, or address where several share it"""
    folder: str = ""
    num_bytes: int = 0
    """Space that the folder takes"""
    num_images: int = 0
    shortage: str = ""
    """Why the images are not stored, but decoded whenever they are used; empty where they are stored"""
    built: bool = False
    """Whether it was built now; else it was there"""
    seconds: float = 0.0
    error: str = ""
    """Why it failed; empty where it did not"""

    def describe(self) -> str:
        """One line for a person, or more where there is an error."""
        if self.error:
            return f"{self.node}: failed: {self.error}"
        done = f"built in {self.seconds:.1f} s" if self.built else "was there"
        stored = f", without room for pixels: {self.shortage}" if self.shortage else ""
        return f"{self.node}: {done}, {self.num_images} images, {shown(self.num_bytes)} in {self.folder}{stored}"


def build_on_every_node(config: DataConfig, announce: Callable[[str], None] = print) -> list[NodeCache]:
    """Build the data set's entry of the cache on every living node of the cluster, on all at the same time.

    The cluster is the one that RAY_ADDRESS or a running ``ray start`` names, else this machine alone. The data set's
    folder must be there on every node under the same path. The task that builds takes no CPU from Ray: it starts at
    once, also beside a sweep, and decodes on all cores of its node.

    Args:
        config: The data set, as its runs will have it.
        announce: Told a line for each node as it is done.

    Returns:
        What each node has got, by node; a node that fails is one of them, with its error.

    Raises:
        ResourceError: There is no cluster where one should be joined.
    """
    config = with_absolute_paths(config)
    with Connection() as connection:
        connection.nodes()  # waits until the cluster is there
        names = _names([node for node in ray.nodes() if node["Alive"]])
        announce(f"building {config.dataset} on {len(names)} nodes: {', '.join(names.values())}")
        waiting = {_submit(node_id, config): name for node_id, name in names.items()}
        built = []
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            built.append(_result(done, waiting.pop(done)))
            announce(built[-1].describe())
    return sorted(built, key=lambda node: node.node)


def _names(nodes: list[Mapping[str, Any]]) -> dict[str, str]:
    """Node id -> a name that no other node has."""
    hosts = [node["NodeManagerHostname"] for node in nodes]
    return {
        node["NodeID"]: host if hosts.count(host) == 1 else f"{host} ({node['NodeID'][:8]})"
        for node, host in zip(nodes, hosts, strict=True)
    }


def _submit(node_id: str, config: DataConfig) -> Any:
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(_build).options(num_cpus=0, max_retries=0, scheduling_strategy=here).remote(config)


def _build(config: DataConfig) -> NodeCache:
    """Runs on the node; its name is filled in by the driver."""
    start = time.monotonic()
    try:
        data = prepare(config)
    except SegrayError as error:
        return NodeCache(node="", error=str(error))
    folder = data.train.folder
    return NodeCache(
        node="",
        folder=str(folder),
        num_bytes=folder_bytes(folder),
        num_images=len(data.train) + len(data.val) + len(data.test),
        shortage=data.shortage,
        built=data.built,
        seconds=time.monotonic() - start,
    )


def _result(done: Any, name: str) -> NodeCache:
    try:
        built: NodeCache = ray.get(done)
    except ray.exceptions.RayError as error:
        return NodeCache(node=name, error=f"{type(error).__name__}: {error}")
    return replace(built, node=name)
