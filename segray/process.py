"""Start and end a process that imports large libraries, and look at other processes."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


@contextmanager
def importing_much() -> Iterator[None]:
    """Switch the garbage collector off for large imports, and exclude their objects from all later collections.

    Torch and the models' libraries make a million permanent objects. Collections during the imports took 1.5 of 4.5 s
    of CPU time, and each later collection of these objects takes 0.4 s.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # Some libraries complain about objects that are still there when Python has ended, as frozen ones are.
        atexit.register(gc.unfreeze)
        if was_enabled:
            gc.enable()


def end_process(code: int) -> NoReturn:
    """End this process at once: Python takes 2 s to free all its objects one by one.

    Only for the last line of a command: neither ``finally`` blocks nor ``atexit`` functions run after this.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_with_parent() -> None:
    """End this process when its `multiprocessing` parent has ended, even if the parent was killed."""
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
    """The state of a living process."""

    start: int
    """Clock ticks from the machine's start to the process's start; with the id, this tells a process from all others"""
    is_stopped: bool
    """Whether SIGSTOP or Ctrl-Z has stopped the process"""


def process_status(pid: int) -> ProcessStatus | None:
    """Look at a process of this machine; return None if it has ended, even if its parent has not noticed (a zombie)."""
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


def kill_with_descendants(pids: Iterable[int]) -> None:
    """Kill processes, and all that these started; without /proc, the processes alone."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # A process may end between two looks.
        with suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    # All are listed before the first is killed: the children of a dead process belong to another one.
    doomed = list(pids)
    for pid in doomed:
        doomed += children.get(pid, [])
    for pid in doomed:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def machine_id() -> str:
    """Return a text that is equal for two processes that can see each other by their ids, and for no others.

    Host names do not tell: many machines are called localhost, and containers with one name may be anywhere.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()
