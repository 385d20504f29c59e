"""End the process of a worker that hangs: the group starts again, and the trial goes on from its checkpoint."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch.distributed as dist

from segray.activity import watched
from segray.cluster.deaths import HUNG
from segray.engine.loop import TRAINING

PRECEDENCE_SECONDS: Final = 10.0
"""Head start of the rank that hangs: in a training step, the other ranks only wait for its gradients."""


@contextmanager
def ending_hangs(limit_minutes: float) -> Iterator[None]:
    """Kill this process when a single step takes longer than a limit; its own log says which step, and where.

    Neither storage nor the channel hears of the end, since either may be the cause of the hang.
    """

    def give_up(what: str, stack: str) -> None:
        if what == TRAINING and dist.get_world_size() > 1:
            time.sleep(PRECEDENCE_SECONDS)
        # Written to the file itself: Train copies sys.stderr to two logs.
        os.write(2, f"\n{HUNG}{what} took more than {limit_minutes:g} min (--silence-limit)\n{stack}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    with watched(60 * limit_minutes, give_up):
        yield
