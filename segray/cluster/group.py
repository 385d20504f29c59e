"""A warm worker group: one Ray Train run whose workers take trial after trial from the channel."""

from __future__ import annotations

import os
import tempfile
import threading
import traceback
import uuid
from typing import TYPE_CHECKING, Any

import ray.train
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig

from segray.cluster.deaths import KILLED, note_exit, ray_reason
from segray.cluster.handle import ChannelHandle, wait_for
from segray.cluster.limits import Limits
from segray.cluster.messages import Message, Task
from segray.cluster.ray_internals import make_trainer
from segray.cluster.rendezvous import RendezvousConfig
from segray.cluster.resources import Plan
from segray.process import importing_much
from segray.storage import SweepFiles

if TYPE_CHECKING:
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

HEALTH_CHECK_SECONDS = "0.25"
"""Time between two looks of Train's controller for dead workers: their trial waits for it. Train's default is 2 s."""

WORKER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
"""Settings that make glibc keep freed memory: returning every large tensor to the kernel cost 10 % of a CPU step."""


def _worker_loop(config: dict[str, Any]) -> None:
    note_exit()
    try:
        # Imported only in the workers: the models' libraries take seconds and hundreds of MB in every process.
        with importing_much():
            from segray.cluster.worker import WorkerConfig, worker_loop

        worker_loop(WorkerConfig(**config))
    except BaseException as error:  # also SystemExit, which Train would take for an ordinary end
        channel: ChannelHandle = config["channel"]
        reason, rank = f"{type(error).__name__}: {error}", ray.train.get_context().get_world_rank()
        wait_for(channel.note_failure.remote(config["slot"], rank, reason, traceback.format_exc()))
        raise


class WarmGroup:
    """A worker group that stays warm between trials.

    The group starts its workers in the background at once, and restarts them until it is closed. Train's controller
    restarts workers that die. The controller is an actor too: when it dies, the group starts another Train run.
    """

    def __init__(self, channel: ChannelHandle, sweep: SweepFiles, plan: Plan, limits: Limits) -> None:
        os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = HEALTH_CHECK_SECONDS
        os.environ["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "0"
        # Without this, Ray changes the working directory, and relative paths lead elsewhere.
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
        self.slot = uuid.uuid4().hex[:8]
        self._channel, self._sweep, self._plan, self._limits = channel, sweep, plan, limits
        self.is_alive = True
        """Whether the group takes trials"""
        self._thread = threading.Thread(target=self._run, name=f"warm-group-{self.slot}", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Give the group its next trial."""
        wait_for(self._channel.submit.remote(self.slot, task))

    def next_message(self) -> Message:
        """Wait for the group's next message about its trial."""
        return wait_for(self._channel.next_message.remote(self.slot))

    def close(self, timeout_seconds: float) -> None:
        """Let the workers return; wait for them for at most ``timeout_seconds``."""
        wait_for(self._channel.finish.remote(self.slot))
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        reason, trace = "", ""
        while wait_for(self._channel.next_run.remote(self.slot, reason, trace)):
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
        return make_trainer(
            _worker_loop,
            train_loop_config={
                "channel": self._channel,
                "slot": self.slot,
                "sweep": self._sweep,
                "device": "cuda" if plan.gpus_per_worker else "cpu",
                "num_loader_workers": plan.loader_workers,
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
                # Train's own files are of no use to a sweep; by default, Train keeps them in ~/ray_results.
                storage_path=train_files,
                # No limit here: the channel decides when to give up, since Train sees no epochs between deaths.
                failure_config=FailureConfig(max_failures=-1),
                worker_runtime_env={"env_vars": WORKER_ENVIRONMENT},
            ),
        )
