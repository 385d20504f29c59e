"""A worker that hangs ends its process, so that the group starts afresh and the trial goes on from its checkpoint."""

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
"""A training step may wait for another rank's gradients: the rank that hangs ends first."""


@contextmanager
def ending_hangs(limit_minutes: float) -> Iterator[None]:
    """Kill this process where it does a single thing for longer than a limit; its own log says what, and where.

    Neither storage nor the channel is told, for they may be what hangs.
    """

    def give_up(what: str, stack: str) -> None:
        if what == TRAINING and dist.get_world_size() > 1:
            time.sleep(PRECEDENCE_SECONDS)
        # Past sys.stderr, which Train writes to two logs.
        os.write(2, f"\n{HUNG}{what} took more than {limit_minutes:g} min (--silence-limit)\n{stack}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    with watched(60 * limit_minutes, give_up):
        yield
