"""The loop in every process of a warm worker group: take a trial, train it, hand over its records, take the next."""

from __future__ import annotations

import gc
import time
import traceback
from dataclasses import dataclass, field
from typing import Literal

import ray
import torch
import torch.distributed as dist

from segray.clock import working_time
from segray.cluster.handle import ChannelHandle, wait_for
from segray.cluster.hang import ending_hangs
from segray.cluster.limits import Limits
from segray.cluster.messages import Message, Task
from segray.cluster.rendezvous import join_process_group
from segray.config import run_config
from segray.engine.batch_size import max_micro_batches
from segray.engine.loop import Diverged, Infeasible, Interrupted
from segray.engine.trial import train_trial
from segray.errors import OutageError, SegrayError, SweepTakenError, WriteError
from segray.records import EpochRecord, OutcomeStatus
from segray.storage import SweepFiles
from segray.trial_log import TrialLog

LOOK_SECONDS = 0.5
"""Time after which a worker looks again, between batches, whether its trial must end."""


@dataclass(frozen=True)
class WorkerConfig:
    """The settings of a worker loop."""

    channel: ChannelHandle
    slot: str
    sweep: SweepFiles
    device: Literal["cpu", "cuda"]
    num_loader_workers: int
    """Loader processes if a trial's config does not say"""
    limits: Limits = field(default_factory=Limits)


def worker_loop(worker: WorkerConfig) -> None:
    """Train trial after trial until the channel has no more; one call per worker process."""
    join_process_group(worker.channel, worker.slot, worker.device)
    # Every join begins a generation, so rank 0 joins for all ranks.
    joined = [wait_for(worker.channel.join.remote(worker.slot)) if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(joined, src=0)
    assert joined[0] is not None
    generation, after = joined[0]
    while given := wait_for(worker.channel.next_task.remote(worker.slot, generation, after)):
        after, task = given
        with ending_hangs(worker.limits.silence_minutes):
            run_task(task, worker, generation)
    dist.destroy_process_group()


def run_task(task: Task, worker: WorkerConfig, generation: int) -> None:
    """Make one attempt at a trial and tell the channel how it ended, unless the driver has lost the sweep.

    Raises:
        Exception: An error that only this rank may have seen, or after which the process cannot be trusted. The group
            starts again.
    """
    if _is_taken(worker.sweep):
        return
    files = worker.sweep.trial(task.trial_id)
    line = Line(task, worker, generation)
    config = run_config(task.config)
    log = TrialLog(files.folder if dist.get_rank() == 0 else None)
    alone = dist.get_world_size() == 1
    micro_batches = 1
    while True:
        try:
            _check_storage(worker.sweep)
            train_trial(
                config,
                files,
                line,
                log=log,
                attempt=task.attempt,
                seconds_before=task.seconds,
                micro_batches=micro_batches,
                num_loader_workers=worker.num_loader_workers,
                device=torch.device(worker.device),
                splits=worker.sweep.splits(),
                goals=task.goals,
                hold=line,
            )
        except Interrupted:
            if line.stop_reason:
                log.write(line.stop_reason)
                line.end("stopped", line.stop_reason)
            elif line.is_late:
                line.end_late(has_model=files.pointer("best") is not None)
            break
        except SweepTakenError:
            if not alone:
                raise
            break
        except Diverged as error:
            line.end("diverged", str(error))
            break
        except Infeasible as error:
            line.end("infeasible", str(error))
            break
        except torch.OutOfMemoryError as error:
            most = max_micro_batches(config)
            if not alone or micro_batches >= most:
                parts = f", even in {micro_batches} parts" if micro_batches > 1 else ""
                line.end("out_of_memory", f"train.batch_size {config.train.batch_size} does not fit{parts}: {error}")
                # The other ranks wait for this rank's gradients; only another start of the group frees them.
                if not alone:
                    raise
                break
        except (Exception, SystemExit) as error:
            if not alone and not isinstance(error, SegrayError):
                # Another rank may have died, and this rank only lost its connection: the trial is tried again.
                raise
            trace = traceback.format_exc()
            if isinstance(error, WriteError | OutageError):
                line.end("no_storage", str(error))
            else:
                line.end("failed", f"{type(error).__name__}: {error}", trace)
                log.write(trace)
            # CUDA stays unusable in a process after a device error.
            if not alone or isinstance(error, torch.AcceleratorError):
                raise
            break
        else:
            break
        # Out of memory. Memory is freed here because the exception, which is gone only now, held the model.
        micro_batches = min(2 * micro_batches, most)
        _free_memory()
        log.write(f"out of memory; trying again with {micro_batches} micro-batches a step")
    _free_memory()


class Line:
    """A trial's line to the channel: carries records, ends and stops between `train_trial` and the driver."""

    def __init__(self, task: Task, worker: WorkerConfig, generation: int) -> None:
        self._task, self._channel, self._slot, self._generation = task, worker.channel, worker.slot, generation
        self._stop = worker.channel.should_stop.remote(worker.slot, generation)
        self._hold = worker.channel.hold_begins.remote(worker.slot, generation)
        self._has_stopped = self._is_held = False
        self._next_look = 0.0
        self._started = working_time() - task.seconds
        self._trial_minutes = worker.limits.trial_minutes
        self.stop_reason = ""
        """Why a person ended the trial, once this worker has heard of it"""

    def hand_over(self, record: EpochRecord, final: bool) -> bool:
        """Pass on an epoch's record (rank 0); return whether to train on."""
        message = Message(self._task.trial_id, record=record, status="finished" if final else None)
        return wait_for(self._channel.hand_over.remote(self._slot, self._generation, message))

    def interrupted(self) -> bool:
        """Return whether the trial must end before its next batch."""
        self._look()
        return self._has_stopped or self.is_late

    def is_wanted(self) -> bool:
        """Return whether the trial must wait before its next batch."""
        self._look()
        return self._is_held

    def wait(self) -> None:
        """Wait until the trial may go on, or must end."""
        wait_for(self._channel.hold_ends.remote(self._slot, self._generation))
        self._hold = self._channel.hold_begins.remote(self._slot, self._generation)
        self._is_held, self._next_look = False, 0.0

    def _look(self) -> None:
        """Look, at most every half second, whether the driver wants anything of this trial."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        ready, _ = ray.wait([self._stop, self._hold], num_returns=2, timeout=0)
        self._is_held = self._hold in ready
        if self._stop in ready and not self._has_stopped:
            self._has_stopped, self.stop_reason = True, wait_for(self._stop)

    @property
    def is_late(self) -> bool:
        """Whether the trial has used up its time."""
        return self._trial_minutes is not None and working_time() - self._started > 60 * self._trial_minutes

    def end_late(self, *, has_model: bool) -> None:
        """Report that the trial's time is over: a trial with a model was stopped, a trial without one has failed."""
        result = "its best checkpoint is kept" if has_model else "no epoch was complete"
        self.end(
            "stopped" if has_model else "failed",
            f"stopped after {self._trial_minutes:g} min (--trial-timeout); {result}",
        )

    def end(self, status: OutcomeStatus | Literal["no_storage"], reason: str, trace: str = "") -> None:
        """Report the end of a trial that ended before its last epoch."""
        seconds = working_time() - self._started
        message = Message(self._task.trial_id, status=status, reason=reason, traceback=trace, seconds=seconds)
        wait_for(self._channel.hand_over.remote(self._slot, self._generation, message))


def _is_taken(sweep: SweepFiles) -> bool:
    """Return whether the driver, which may be stopped, has lost the sweep: then its workers must write nothing."""
    try:
        sweep.folder.check_guard()
    except SweepTakenError:
        return True
    return False


def _check_storage(sweep: SweepFiles) -> None:
    if not sweep.exists():
        raise OutageError(
            f"the sweep's folder {sweep.folder.path!r} is not visible on node {ray.util.get_node_ip_address()}; "
            "--storage must be a filesystem or a URL that all nodes share"
        )


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
