"""Find out how a process of Ray's died: from its own last lines in the log on its node, since Ray does not say."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from segray.cluster.ray_internals import logs_folder

LOG_LINES = 50
"""Lines of a dead process's log that are kept."""

TAIL_BYTES = 2**18
"""Bytes that are read from the end of a log of any size."""

LOOK_SECONDS = 20.0
"""Time for another node to look at its dead processes."""

HUNG = "hung: "
"""Start of the line that a hung worker writes before it ends itself"""

_HANG = re.compile(f"^{HUNG}.*", re.MULTILINE)
_SIGNAL = re.compile(r"^\*\*\* (SIG[A-Z]+) received", re.MULTILINE)
_EXIT = re.compile(r"^os\._exit\((-?\d+)\) was called", re.MULTILINE)
_NODE_DIED = re.compile(r"The actor died because its node has died\.[^\n]*")
_DETAIL = re.compile(r"Worker exit type: (\w+) Worker exit detail: ([^\n]*)")
# Ray says this of every process that ends without a word, so it explains nothing.
_NOTHING_SEEN = "Worker unexpectedly exits with a connection error"
_NOISE = ("Extension modules: ", ":job_id:", ":actor_name:", ":task_name:")


@dataclass(frozen=True)
class Death:
    """The death of a worker in a group."""

    rank: int
    reason: str
    """A sentence such as: the worker ended with exit code 3"""
    log: str
    """The last lines that the worker wrote"""


def note_exit() -> None:
    """Make ``os._exit`` in this process log the exit code and the caller, since it leaves no other trace."""
    pid, leave = os.getpid(), os._exit

    def noted(status: int) -> NoReturn:
        # A forked child has this function too, but its exit does not end the worker.
        if os.getpid() == pid:
            print(f"os._exit({status}) was called here:", file=sys.stderr)
            traceback.print_stack(file=sys.stderr)
            sys.stderr.flush()
        leave(status)

    os._exit = noted


def find_death(workers: Mapping[int, tuple[str, int]], errors: Mapping[int, BaseException]) -> Death | None:
    """Return the death of the group's first worker whose process is gone; None if all workers live.

    Args:
        workers: Node id and process id of every rank.
        errors: Train's errors of the ranks that it knows to have failed.
    """
    found = _look_on_nodes(set(workers.values()))
    for rank, where in workers.items():
        told = ray_reason(errors.get(rank))
        if where in found or told:
            seen, log = found.get(where, ("", ""))
            who = "the worker" if len(workers) == 1 else f"worker {rank}"
            return Death(rank, f"{who} {seen or told or KILLED}", log)
    return None


KILLED = (
    "ended without a word, as after SIGKILL, which the system sends when memory runs out; "
    "its node's kernel log (`dmesg`) says so then"
)


def ray_reason(error: BaseException | None) -> str:
    """Return what Ray knows about an actor's death, as a phrase that follows "a worker"; empty if Ray knows nothing."""
    text = str(error or "")
    if died := _NODE_DIED.search(text):
        return f"was lost with its node: {died[0]}"
    detail = _DETAIL.search(text)
    if detail is None or detail[2].startswith(_NOTHING_SEEN):
        return ""
    return f"ended, as Ray says, with {detail[1]}: {detail[2]}"


def read_death(logs: Path, pid: int) -> tuple[str, str]:
    """Read from the logs of a dead process of this node how it ended.

    Args:
        logs: Folder of the Ray session's logs.
        pid: Id of the dead process.

    Returns:
        A phrase that follows "a worker", such as "ended with exit code 3", or an empty text if the logs do not tell;
        and the last lines of the logs.
    """
    error_log, output = (_newest(logs.glob(f"worker-*-{pid}.{end}")) for end in ("err", "out"))
    lines = [line for line in (output + error_log).splitlines() if not line.startswith(_NOISE)]
    return _reason(error_log), "\n".join(lines[-LOG_LINES:])


def _reason(error_log: str) -> str:
    if hangs := _HANG.findall(error_log):
        return str(hangs[-1])
    if exits := _EXIT.findall(error_log):
        return f"ended with exit code {exits[-1]}"
    if signals := _SIGNAL.findall(error_log):
        return f"ended with {signals[-1]} (signal {signal.Signals[signals[-1]].value})"
    return ""


def _newest(files: Iterable[Path]) -> str:
    """Return the end of the file that was written last, since process ids are used again; empty if none is readable."""
    try:
        newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
        if newest is None:
            return ""
        with newest.open("rb") as log:
            log.seek(max(0, newest.stat().st_size - TAIL_BYTES))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def _look_on_nodes(processes: set[tuple[str, int]]) -> dict[tuple[str, int], tuple[str, str]]:
    """Return (node, process id) -> reason and log of the dead processes, as far as their nodes answer."""
    here = ray.get_runtime_context().get_node_id()
    waiting = {}
    found = {}
    for node in {node for node, _ in processes}:
        pids = [pid for at, pid in processes if at == node]
        if node == here:
            # A remote task would first have to start a process.
            found[node] = _look(pids)
        else:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            options: dict[str, object] = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
            waiting[node] = ray.remote(_look).options(**options).remote(pids)
    for node, looking in waiting.items():
        try:
            found[node] = ray.get(looking, timeout=LOOK_SECONDS)
        except (RayError, GetTimeoutError):
            continue
    return {(node, pid): death for node, deaths in found.items() for pid, death in deaths.items()}


def _look(pids: list[int]) -> dict[int, tuple[str, str]]:
    logs = logs_folder()
    return {pid: read_death(logs, pid) for pid in pids if not _is_alive(pid)}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
