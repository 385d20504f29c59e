"""A warm worker group: one Ray Train run whose workers take trial after trial from the channel."""

from __future__ import annotations

import os
import tempfile
import threading
import traceback
import uuid
from typing import Any

import ray
import ray.train
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from segray.cluster.channel import Message, Task
from segray.cluster.deaths import KILLED, note_exit, ray_reason
from segray.cluster.limits import Limits
from segray.cluster.rendezvous import RendezvousConfig
from segray.cluster.resources import Plan
from segray.process import importing_much
from segray.storage import SweepFiles

# Read by Train's controller, which a dead worker's trial waits for: 2 s unless told.
HEALTH_CHECK_SECONDS = "0.25"

WORKER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
"""glibc keeps freed memory: giving every large tensor back to the kernel cost 10 % of a training step on CPUs."""


def _worker_loop(config: dict[str, Any]) -> None:
    note_exit()
    try:
        # Imported here, in the workers alone: the models' libraries take seconds and hundreds of MB in every process.
        with importing_much():
            from segray.cluster.worker import WorkerConfig, worker_loop

        worker_loop(WorkerConfig(**config))
    except BaseException as error:  # SystemExit too, which Train would not tell from an ordinary end
        reason, rank = f"{type(error).__name__}: {error}", ray.train.get_context().get_world_rank()
        ray.get(config["channel"].note_failure.remote(config["slot"], rank, reason, traceback.format_exc()))
        raise


class _Trainer(DataParallelTrainer):
    """Train's trainer without two processes of 200 MB in every group.

    They are the manager of Ray Data, which would be idle, and the cleaner of placement groups, whose work the driver
    does for all groups (see ``orphans``).
    """

    def _create_default_callbacks(self) -> list[Any]:
        unused = (DatasetsCallback, PlacementGroupCleanerCallback)
        return [one for one in super()._create_default_callbacks() if not isinstance(one, unused)]


class WarmGroup:
    """Starts its workers in the background at once, and restarts them for as long as it is not closed.

    Train's controller restarts workers that die. It is an actor itself: when it dies, another Train run is started.
    """

    def __init__(self, channel: Any, sweep: SweepFiles, plan: Plan, limits: Limits) -> None:
        os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = HEALTH_CHECK_SECONDS
        os.environ["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "0"
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
        self.slot = uuid.uuid4().hex[:8]
        self._channel, self._sweep, self._plan, self._limits = channel, sweep, plan, limits
        self.is_alive = True
        """Whether it takes trials"""
        self._thread = threading.Thread(target=self._run, name=f"warm-group-{self.slot}", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Give the group its next trial."""
        ray.get(self._channel.submit.remote(self.slot, task))

    def next_message(self) -> Message:
        """Wait for what the group says next of its trial."""
        message: Message = ray.get(self._channel.next_message.remote(self.slot))
        return message

    def close(self, timeout_seconds: float) -> None:
        """Let the workers return; waits for them at most ``timeout_seconds``."""
        ray.get(self._channel.finish.remote(self.slot))
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        reason, trace = "", ""
        while ray.get(self._channel.next_run.remote(self.slot, reason, trace)):
            try:
                with tempfile.TemporaryDirectory(prefix="segray-train-") as train_files:
                    self._trainer(train_files).fit()
                reason, trace = "the workers returned", ""
            except RayActorError as error:
                reason, trace = f"Train's controller {ray_reason(error) or KILLED}", ""
            except Exception as error:
                reason, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
        self.is_alive = False

    def _trainer(self, train_files: str) -> DataParallelTrainer:
        plan = self._plan
        return _Trainer(
            _worker_loop,
            train_loop_config={
                "channel": self._channel,
                "slot": self.slot,
                "sweep": self._sweep,
                "device": "cuda" if plan.gpus_per_worker else "cpu",
                "num_loader_workers": max(0, int(plan.cpus_per_worker) - 1),
                "limits": self._limits,
            },
            backend_config=RendezvousConfig(self._channel, self.slot),
            scaling_config=ScalingConfig(
                num_workers=plan.workers_per_trial,
                use_gpu=plan.gpus_per_worker > 0,
                resources_per_worker={"CPU": plan.cpus_per_worker, "GPU": plan.gpus_per_worker},
            ),
            run_config=RunConfig(
                name=self.slot,
                storage_path=train_files,
                failure_config=FailureConfig(max_failures=-1),
                worker_runtime_env={"env_vars": WORKER_ENVIRONMENT},
            ),
        )
