"""Processes: the start and the end of one that imports large libraries, and a look at others."""

from __future__ import annotations

import atexit
import gc
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True)
class ProcessStatus:
    """What there is to see of a living process."""

    start: int
    """Clock ticks from the machine's start to the process's: with the id, it tells one process from all others"""
    is_stopped: bool
    """By SIGSTOP or Ctrl-Z"""


def process_status(pid: int) -> ProcessStatus | None:
    """Look at a process of this machine; None if it has ended, even where its parent has not noticed (a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _status_without_proc(pid)
    return None if fields[0] in "ZX" else ProcessStatus(start=int(fields[19]), is_stopped=fields[0] == "T")


def _status_without_proc(pid: int) -> ProcessStatus | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ProcessStatus(start=0, is_stopped=False)


def machine_id() -> str:
    """What is the same for two processes that can see each other by their ids, and for no others.

    Names of hosts are not: many machines are called localhost, and containers of one name may be anywhere.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()
