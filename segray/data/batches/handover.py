"""Hands batches over from loader processes in shared memory, which may be small; a lost batch is an error."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from segray.errors import DataError, ResourceError
from segray.text import data_size

SHARED_MEMORY: Final = Path("/dev/shm")
PREFETCHED: Final = 2
"""Batches that each loader process prepares ahead."""
SPARE_BYTES: Final = 2**20
"""Room for semaphores and other things in shared memory."""

_FIX = "start the container with more (docker run --shm-size=8g), or load without processes: data.num_loader_workers=0"

PicksT = TypeVar("PicksT")
BatchT = TypeVar("BatchT", bound=tuple[object, ...])


def check_shared_memory(batch_bytes: int, num_batches: int, num_workers: int) -> None:
    """Refuse loader processes whose batches do not fit into shared memory.

    Args:
        batch_bytes: Size of the largest batch.
        num_batches: Number of batches an epoch.
        num_workers: Number of loader processes.

    Raises:
        ResourceError: The batches that wait to be used, and the batch in use, need more than is free.
    """
    if not num_workers or not SHARED_MEMORY.is_dir():
        return
    num_held = min(PREFETCHED * num_workers + 1, num_batches)
    if num_held * batch_bytes + SPARE_BYTES > _free_bytes():
        raise ResourceError(
            f"the loader processes ({num_workers}) keep up to {num_held} batches of {data_size(batch_bytes)} in shared "
            f"memory, which has too little room: {_state()}; {_FIX}"
        )


class HandingOver(Dataset[BatchT | DataError | ResourceError], Generic[PicksT, BatchT]):
    """Loads batches in a loader process, and hands over an error as a value.

    If the error was raised in the loader process, torch would turn it into thirty lines of traceback.

    Args:
        load: Makes a batch, a named tuple, from picks.
    """

    def __init__(self, load: Callable[[PicksT], BatchT]) -> None:
        self._load = load

    def __getitem__(self, picks: PicksT) -> BatchT | DataError | ResourceError:
        try:
            batch = self._load(picks)
            if get_worker_info() is not None:
                _share(batch)
            return batch
        except (DataError, ResourceError) as error:
            return error


class Receiving(Generic[BatchT]):
    """Iterates over the batches of a loader, and raises an error that was handed over.

    Args:
        loader: A loader whose data set is a `HandingOver`.
    """

    def __init__(self, loader: DataLoader[BatchT | DataError | ResourceError]) -> None:
        self._loader = loader
        self._processes: list[BaseProcess] = []

    def __iter__(self) -> Iterator[BatchT]:
        batches = self._start()
        try:
            for batch in batches:
                if isinstance(batch, (DataError, ResourceError)):
                    raise batch
                yield batch
        except RuntimeError as error:
            if "exited unexpectedly" not in str(error):
                raise
            ends = {process.pid: process.exitcode for process in self._processes if not process.is_alive()}
            raise ResourceError(_end_message(ends)) from error

    def _start(self) -> Iterator[BatchT | DataError | ResourceError]:
        before = multiprocessing.active_children()
        try:
            batches = iter(self._loader)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # The semaphores of Python's queues lie in shared memory, too.
            raise ResourceError(f"shared memory is full: {_state()}; {_FIX}") from error
        # Later epochs start no processes: those of the first epoch stay.
        self._processes += [process for process in multiprocessing.active_children() if process not in before]
        return batches


def _share(batch: tuple[object, ...]) -> None:
    # Torch would move the batch later, in a thread of its queue that prints an error and drops the batch: training
    # would wait for the batch for ever.
    tensors = [value for value in batch if isinstance(value, torch.Tensor)]
    try:
        for tensor in tensors:
            tensor.share_memory_()  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError) as error:
        num_bytes = sum(tensor.nbytes for tensor in tensors)
        raise ResourceError(
            f"a loader process cannot hand over a batch of {data_size(num_bytes)} in shared memory: {_state()}; {_FIX} "
            f"({error})"
        ) from None


def _free_bytes() -> int:
    status = os.statvfs(SHARED_MEMORY)
    return status.f_bavail * status.f_frsize


def _state() -> str:
    status = os.statvfs(SHARED_MEMORY)
    total = status.f_blocks * status.f_frsize
    return f"{SHARED_MEMORY} has {data_size(_free_bytes())} free of {data_size(total)}"


def _end_message(ends: dict[int | None, int | None]) -> str:
    how = ", ".join(f"process {pid} {_describe_exit(code)}" for pid, code in ends.items()) or "a process"
    return (
        f"a loader process ended unexpectedly ({how}); Linux kills one (SIGKILL) where memory runs out: lower "
        "data.num_loader_workers or train.batch_size, or use a machine with more memory"
    )


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
