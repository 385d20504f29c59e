"""A worker that hangs ends its process, so that the group starts afresh and the trial goes on from its checkpoint."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import ray
import torch.distributed as dist

from segray.activity import watched
from segray.engine.loop import TRAINING
from segray.storage import TrialLog

if TYPE_CHECKING:
    from segray.cluster.worker import WorkerConfig

PRECEDENCE_SECONDS: Final = 10.0
"""A training step may wait for another rank's gradients: the rank that hangs speaks first."""

LAST_WORDS_SECONDS: Final = 10.0
"""Storage or network may be what hangs, and must not keep the process from its end."""


@contextmanager
def ending_hangs(trial_id: str, worker: WorkerConfig) -> Iterator[None]:
    """End this process where it does a single thing of a trial for longer than the worker's limit."""

    def give_up(what: str, stack: str) -> None:
        if what == TRAINING and dist.get_world_size() > 1:
            time.sleep(PRECEDENCE_SECONDS)
        reason = (
            f"worker {dist.get_rank()} on node {ray.util.get_node_ip_address()} hung: {what} took more than "
            f"{worker.limits.silence_minutes:g} min (--silence-limit)"
        )
        _in_time(lambda: ray.get(worker.channel.note_failure.remote(worker.slot, dist.get_rank(), reason, stack)))
        _in_time(lambda: TrialLog(worker.sweep.trial(trial_id).folder).write(f"{reason}\n{stack}"))
        os._exit(1)

    with watched(60 * worker.limits.silence_minutes, give_up):
        yield


def _in_time(speak: Callable[[], object]) -> None:
    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    thread.join(LAST_WORDS_SECONDS)
