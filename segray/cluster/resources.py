"""The share of the cluster that a trial takes, and the number of trials that fit at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from segray import text
from segray.errors import ConfigError, ResourceError
from segray.option import Option

CPU_SLOTS = 8
"""Most trials at once on a machine without GPUs, unless `cpus_per_worker` says otherwise."""

# Measured as proportional set size (Pss in /proc/PID/smaps_rollup), so that shared pages count once.
HELPERS_BYTES = 400_000_000
"""Memory of a slot's processes beside its workers: Tune's actor, Train's controller and a helper of Train (360 MB)."""
CPU_WORKER_BYTES = 1_000_000_000
"""Memory of a worker with a small model and batch (320 MB with its libraries, 800 to 1,100 MB in training)."""
LIBRARIES_BYTES = 320_000_000
"""Memory of a worker with its libraries alone"""
GPU_WORKER_BYTES = 2_500_000_000
"""A guess: the memory of a CPU worker, plus CUDA's libraries, page-locked batches and loader processes."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The resources that a person asks for; None is worked out from the cluster."""

    workers_per_trial: Annotated[int, Option("Data-parallel workers of a trial")] = 1
    cpus_per_worker: Annotated[float | None, Option("CPUs of a worker")] = None
    gpus_per_worker: Annotated[float | None, Option("GPUs of a worker; may be 0.5")] = None

    def __post_init__(self) -> None:
        if self.workers_per_trial < 1:
            raise ConfigError(f"--workers-per-trial must be at least 1, but got {self.workers_per_trial}")
        if self.cpus_per_worker is not None and self.cpus_per_worker <= 0:
            raise ConfigError(f"--cpus-per-worker must be above 0, but got {self.cpus_per_worker:g}")
        gpus = self.gpus_per_worker
        if gpus is not None and gpus < 0:
            raise ConfigError(f"--gpus-per-worker must be 0 or more, but got {gpus:g}")
        if gpus is not None and gpus != int(gpus) and (gpus > 1 or self.workers_per_trial > 1):
            raise ConfigError(
                f"--gpus-per-worker must be a whole number, or below 1 with one worker per trial, but got {gpus:g} "
                f"with {self.workers_per_trial} workers; DDP needs a separate GPU for each worker"
            )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep's use of the cluster."""

    workers_per_trial: int
    cpus_per_worker: float
    gpus_per_worker: float
    slots: int
    """Trials that run at once"""
    total_cpus: float
    total_gpus: float
    num_nodes: int
    memory_note: str = ""
    """Why there are fewer slots than CPUs and GPUs allow; empty if there are as many"""
    helpers_bytes: int = 1
    """Memory that Ray reserves for a slot's helpers; Ray puts each slot on the node with the most memory left"""

    @property
    def cpu_threads(self) -> int | None:
        """CPU threads of a worker that trains on CPUs; None with GPUs."""
        return None if self.gpus_per_worker else max(1, int(self.cpus_per_worker))

    def describe(self) -> str:
        """Return a line for a person."""
        trials = text.counted(self.slots, "trial")
        workers = text.counted(self.workers_per_trial, "worker")
        gpus = f" and {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        nodes = text.counted(self.num_nodes, "node")
        return (
            f"{trials} at once, each with {workers} of {self.cpus_per_worker:g} CPU{gpus} "
            f"(cluster: {nodes}, {self.total_cpus:g} CPUs, {self.total_gpus:g} GPUs){self.memory_note}"
        )

    @property
    def loader_workers(self) -> int:
        """The number of loader processes of a worker, if its config does not say."""
        # One CPU is the worker's own.
        return max(0, int(self.cpus_per_worker) - 1)

    @property
    def trial_bytes(self) -> int:
        """Estimate of the least memory that a trial takes, with its slot's helpers."""
        worker = GPU_WORKER_BYTES if self.gpus_per_worker else CPU_WORKER_BYTES
        return HELPERS_BYTES + self.workers_per_trial * worker


def make_plan(resources: Resources, nodes: Sequence[Mapping[str, float]], max_slots: int | None = None) -> Plan:
    """Work out how many trials fit at once by CPUs, GPUs and the estimated memory.

    Args:
        resources: The resources that a trial takes.
        nodes: Ray resources of every living node, such as ``{"CPU": 8.0, "GPU": 1.0, "memory": 16e9}``.
        max_slots: Number of trials to run; further slots would be idle.

    Raises:
        ResourceError: CPUs and GPUs do not hold even one trial. Little memory raises nothing: one trial always runs.
    """
    widest = _plan_without_memory(resources, nodes, max_slots)
    slots = min(widest.slots, max(1, _slots_in_memory(widest, nodes)))
    # Planned again, since fewer trials get more CPUs each.
    plan = widest if slots == widest.slots else _plan_without_memory(resources, nodes, slots)
    memory = [node.get("memory", 0.0) for node in nodes]
    if slots < widest.slots:
        note = (
            f"; not {widest.slots} at once: {sum(memory) / 1e9:.1f} GB of memory hold {slots} trials of about "
            f"{plan.trial_bytes / 1e9:.1f} GB each"
        )
        plan = replace(plan, memory_note=note)
    # Bounded, so that the last slot never waits for memory.
    return replace(plan, helpers_bytes=max(1, min(HELPERS_BYTES, int(max(memory) / (2 * slots)))))


def worker_bytes(plan: Plan, nodes: Sequence[Mapping[str, float]], gpu_bytes: int | None) -> int | None:
    """Return the memory that a worker has for its training; None if it is not known.

    Args:
        plan: The sweep's use of the cluster.
        nodes: Ray resources of every living node.
        gpu_bytes: Memory of the largest GPU; None if it is not known.
    """
    if plan.gpus_per_worker:
        return None if gpu_bytes is None else int(min(1.0, plan.gpus_per_worker) * gpu_bytes)
    memory = [node["memory"] for node in nodes if "memory" in node]
    if not memory:
        return None
    slot_bytes = sum(memory) / plan.slots - HELPERS_BYTES
    return max(0, int(slot_bytes / plan.workers_per_trial - LIBRARIES_BYTES))


def _slots_in_memory(plan: Plan, nodes: Sequence[Mapping[str, float]]) -> int:
    worker_bytes = plan.trial_bytes / plan.workers_per_trial
    workers = 0
    for node in nodes:
        by_memory = int(node["memory"] / worker_bytes) if "memory" in node else plan.slots * plan.workers_per_trial
        workers += min(by_memory, _workers_on(node, plan.cpus_per_worker, plan.gpus_per_worker))
    return workers // plan.workers_per_trial


def _plan_without_memory(resources: Resources, nodes: Sequence[Mapping[str, float]], max_slots: int | None) -> Plan:
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    gpus_per_worker = resources.gpus_per_worker
    if gpus_per_worker is None:
        gpus_per_worker = 1.0 if gpus else 0.0
    cpus_per_worker = resources.cpus_per_worker
    if cpus_per_worker is None:
        cpus_per_worker = _cpu_share(nodes, gpus_per_worker, resources.workers_per_trial, max_slots)
    capacity = sum(_workers_on(node, cpus_per_worker, gpus_per_worker) for node in nodes)
    slots = capacity // resources.workers_per_trial
    if resources.cpus_per_worker is None and not gpus_per_worker:
        slots = min(slots, _most_cpu_slots(nodes))
    if slots == 0:
        raise ResourceError(
            f"a trial needs {resources.workers_per_trial} workers of {cpus_per_worker:g} CPUs and "
            f"{gpus_per_worker:g} GPUs, but the cluster's {len(nodes)} nodes with {cpus:g} CPUs and {gpus:g} GPUs "
            f"in all hold {capacity} such workers; lower --workers-per-trial, --cpus-per-worker or --gpus-per-worker"
        )
    return Plan(
        workers_per_trial=resources.workers_per_trial,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        slots=slots if max_slots is None else min(slots, max_slots),
        total_cpus=cpus,
        total_gpus=gpus,
        num_nodes=len(nodes),
    )


def _cpu_share(
    nodes: Sequence[Mapping[str, float]], gpus_per_worker: float, workers_per_trial: int, max_slots: int | None
) -> float:
    """Return the CPUs that a worker can have without leaving a GPU idle; without GPUs, the most at which all fit."""
    if not gpus_per_worker:
        slots = _most_cpu_slots(nodes) if max_slots is None else min(_most_cpu_slots(nodes), max_slots)
        largest = max((int(node.get("CPU", 0.0)) for node in nodes), default=0)
        for whole in range(largest, 1, -1):
            if sum(_workers_on(node, whole, 0) for node in nodes) >= slots * workers_per_trial:
                return float(whole)
        return 1.0
    shares = [node["CPU"] * gpus_per_worker / node["GPU"] for node in nodes if node.get("GPU") and node.get("CPU")]
    share = min(shares, default=1.0)
    # Ray counts CPUs in steps of 0.0001.
    return float(int(share)) if share >= 1 else math.floor(share * 10_000) / 10_000


def _most_cpu_slots(nodes: Sequence[Mapping[str, float]]) -> int:
    return CPU_SLOTS * sum(bool(node.get("CPU")) for node in nodes)


def _workers_on(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    # 1.2 CPUs hold three workers of 0.4, but 1.2 / 0.4 is 2.9999999999999996 in floats.
    by_cpu = int(node.get("CPU", 0.0) / cpus + 1e-9)
    if not gpus:
        return by_cpu
    num_gpus = node.get("GPU", 0.0)
    # A fraction is part of one GPU: Ray never spreads a worker over two.
    by_gpu = int(num_gpus) * int(1 / gpus + 1e-9) if gpus < 1 else int(num_gpus / gpus)
    return min(by_cpu, by_gpu)
