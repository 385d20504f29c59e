"""Everything that segray uses of Ray's private API, read from Ray 2.60. Check each function when Ray changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import ray
from ray._common.utils import get_ray_address_file
from ray._private import services
from ray._private.resource_and_label_spec import ResourceAndLabelSpec
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.util.placement_group import PlacementGroup

from segray.process import kill_with_descendants

if TYPE_CHECKING:
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

Result = TypeVar("Result")


class _Status(Protocol):
    errors: Mapping[int, BaseException]


class _Process(Protocol):
    node_id: str
    pid: int


class _Worker(Protocol):
    metadata: _Process


class TrainWorkers(Protocol):
    """The part of Train's ``WorkerGroup`` that segray uses."""

    def get_latest_poll_status(self) -> _Status | None:
        """Return rank -> error, as of Train's last look."""

    def get_workers(self) -> Sequence[_Worker]:
        """Return the workers in the order of ranks."""

    def execute(self, function: Callable[..., Result], *args: object) -> Sequence[Result]:
        """Call a function in every worker."""


def address_file() -> Path:
    """Return the file in which ``ray start`` notes the address of this machine's cluster."""
    return Path(get_ray_address_file(None))


def token_file() -> Path:
    """Return the file with the token that opens this person's clusters."""
    return Path.home() / ".ray" / "auth_token"


@contextmanager
def sessions_of_their_own() -> Iterator[None]:
    """Start Ray's processes in sessions of their own, out of reach of signals to this process's group.

    A terminal, `timeout`, `docker stop` and Slurm signal the whole group. The driver must hear SIGTERM first and end
    the workers between two batches. Ray 2.60 blocks only SIGINT.
    """
    popen = services.ConsolePopen
    services.ConsolePopen = partial(popen, start_new_session=True)
    try:
        yield
    finally:
        services.ConsolePopen = popen


def this_machine() -> dict[str, float]:
    """Return the resources that Ray would give a cluster of this machine alone; starts nothing of Ray."""
    found = ResourceAndLabelSpec().resolve(is_head=True, node_ip_address="127.0.0.1")
    resources: dict[str, float] = found.to_resource_dict()
    return resources


def largest_gpu_bytes() -> int | None:
    """Return the memory of this machine's largest NVIDIA GPU; None if its driver does not say."""
    # Not CUDA, which would take a part of each GPU's memory in this process.
    from ray._private.thirdparty import pynvml

    try:
        pynvml.nvmlInit()
        gpus = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        return max((int(pynvml.nvmlDeviceGetMemoryInfo(gpu).total) for gpu in gpus), default=None)
    except pynvml.NVMLError:
        return None


def raylet_socket() -> str:
    """Return the path of the Unix socket of Ray's process on this machine, the raylet."""
    return str(ray._private.worker.global_worker.node.raylet_socket_name)


def head_address() -> str:
    """Return HOST:PORT of the cluster's head (GCS)."""
    return str(ray._private.worker.global_worker.node.gcs_address)


def kill_own_cluster() -> None:
    """Kill the processes of the cluster that this process started, and all that these started; calls no other process.

    Agents outlive a killed raylet: without the head they wait for a minute or more before they end.
    """
    node = ray._private.worker._global_node
    if node is not None:
        kill_with_descendants([info.process.pid for infos in node.all_processes.values() for info in infos])


def logs_folder() -> Path:
    """Return the folder of this node's logs of the Ray session."""
    return Path(ray._private.worker._global_node.get_logs_dir_path())


def orphaned_placement_groups() -> Iterator[PlacementGroup]:
    """Yield this job's placement groups whose actor has died. Ray's public table does not tell."""
    job = ray.get_runtime_context().get_job_id()
    for stored in ray._private.state.state._connect_and_get_accessor().get_placement_group_table():
        table = PlacementGroupTableData.FromString(stored)
        # The driver's own groups, which Tune makes for slots, belong to no actor, and Ray counts that as a dead actor.
        is_of_an_actor = not ray.ActorID(table.creator_actor_id).is_nil()
        is_ours = table.creator_job_id.hex() == job and is_of_an_actor and not table.is_detached
        if is_ours and table.creator_actor_dead and table.state != PlacementGroupTableData.REMOVED:
            yield PlacementGroup(ray.PlacementGroupID(table.placement_group_id))


def failed_ranks(worker_group: TrainWorkers) -> dict[int, BaseException]:
    """Return rank -> error of the workers of a Train worker group that have failed, as of Train's last poll."""
    status = worker_group.get_latest_poll_status()
    return dict(status.errors) if status is not None and status.errors else {}


def worker_processes(worker_group: TrainWorkers) -> dict[int, tuple[str, int]]:
    """Return rank -> (node id, process id) of a Train worker group."""
    workers = (worker.metadata for worker in worker_group.get_workers())
    return {rank: (worker.node_id, worker.pid) for rank, worker in enumerate(workers)}


def make_trainer(train_loop: Callable[[dict[str, Any]], None], **settings: object) -> DataParallelTrainer:
    """Make Train's trainer without two processes of 200 MB in every worker group.

    The two processes are the manager of Ray Data, which would be idle, and the cleaner of placement groups, whose work
    the driver does for all groups (see ``orphans``).

    Args:
        train_loop: Runs in every worker.
        settings: Passed to Train's ``DataParallelTrainer``.
    """
    # Imported here: a process that only looks for logs does without Ray Train.
    from ray.train.v2._internal.callbacks import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    unused = (DatasetsCallback, PlacementGroupCleanerCallback)

    class LeanTrainer(DataParallelTrainer):
        def _create_default_callbacks(self) -> Sequence[object]:
            return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, unused)]

    return LeanTrainer(train_loop, **settings)
