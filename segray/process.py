"""A Python process that imports large libraries: its start and its end, without the garbage collector's share."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def importing_much() -> Iterator[None]:
    """Keep the garbage collector out of large imports, and what they made out of all later collections.

    Torch and the models' libraries make a million objects that are there to stay. Collections that look at them
    while they grow took 1.5 of 4.5 s of CPU time; each collection afterwards takes 0.4 s.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # Frozen objects are still there when Python has ended, of which some libraries complain.
        atexit.register(gc.unfreeze)
        if was_enabled:
            gc.enable()


def end_process(code: int) -> NoReturn:
    """End this process now: freeing all those objects one by one takes Python 2 s.

    For a command's very last line: neither ``finally`` blocks nor ``atexit`` functions run after it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_with_parent() -> None:
    """End this process as soon as the one that started it by `multiprocessing` has ended, even if it was killed."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def end() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
