"""Build the cache of decoded images on every node of a cluster ahead of a sweep, so that no trial waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from segray.cluster.connection import Connection
from segray.config import DataConfig
from segray.data.cache.entry import folder_bytes
from segray.data.preparation import prepare, with_absolute_paths
from segray.errors import SegrayError
from segray.text import data_size


class _Node(TypedDict):
    NodeID: str
    NodeManagerHostname: str


@dataclass(frozen=True, kw_only=True)
class NodeCache:
    """A node's entry of the cache."""

    node: str
    """The node's host name, with its id if several nodes share the name"""
    folder: str = ""
    num_bytes: int = 0
    """Size of the folder"""
    num_images: int = 0
    shortage: str = ""
    """Why the images are decoded at each use instead of stored; empty if they are stored"""
    built: bool = False
    """Whether the entry was built now; otherwise it was there"""
    seconds: float = 0.0
    error: str = ""
    """Why the build failed; empty if it did not"""

    def describe(self) -> str:
        """Return a line for a person, or several lines for an error."""
        if self.error:
            return f"{self.node}: failed: {self.error}"
        done = f"built in {self.seconds:.1f} s" if self.built else "was there"
        stored = f", without room for pixels: {self.shortage}" if self.shortage else ""
        return f"{self.node}: {done}, {self.num_images} images, {data_size(self.num_bytes)} in {self.folder}{stored}"


def build_on_every_node(config: DataConfig, announce: Callable[[str], None] = print) -> list[NodeCache]:
    """Build the data set's entry of the cache on all living nodes of the cluster at the same time.

    The cluster is the one that RAY_ADDRESS or a running ``ray start`` names, or else this machine alone. The data set's
    folder must be on every node under the same path. The building task asks Ray for no CPU, so that it starts at once,
    even beside a sweep; it decodes on all cores of its node.

    Args:
        config: The data set, with the config that its runs will use.
        announce: Called with a line when a node is done.

    Returns:
        The entries sorted by node; the entry of a node that failed holds the error.

    Raises:
        ResourceError: The named cluster cannot be joined.
    """
    config = with_absolute_paths(config)
    with Connection() as connection:
        connection.nodes()  # called for its wait until the cluster is there
        names = _names([node for node in ray.nodes() if node["Alive"]])
        announce(f"building {config.dataset} on {len(names)} nodes: {', '.join(names.values())}")
        waiting = {_submit(node_id, config): name for node_id, name in names.items()}
        built = []
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            built.append(_result(done, waiting.pop(done)))
            announce(built[-1].describe())
    return sorted(built, key=lambda node: node.node)


def _names(nodes: Sequence[_Node]) -> dict[str, str]:
    """Return node id -> a name that no other node has."""
    hosts = [node["NodeManagerHostname"] for node in nodes]
    return {
        node["NodeID"]: host if hosts.count(host) == 1 else f"{host} ({node['NodeID'][:8]})"
        for node, host in zip(nodes, hosts, strict=True)
    }


def _submit(node_id: str, config: DataConfig) -> ray.ObjectRef:
    here = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(_build).options(num_cpus=0, max_retries=0, scheduling_strategy=here).remote(config)


def _build(config: DataConfig) -> NodeCache:
    """Build the entry on the node that runs this task; the driver fills in the node's name."""
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


def _result(done: ray.ObjectRef, name: str) -> NodeCache:
    try:
        built: NodeCache = ray.get(done)
    except ray.exceptions.RayError as error:
        return NodeCache(node=name, error=f"{type(error).__name__}: {error}")
    return replace(built, node=name)
