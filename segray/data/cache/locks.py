"""Locks on files (flock), which the system frees whenever and however the holder's process ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from segray import activity
from segray.errors import ResourceError

POLL_SECONDS: Final = 0.05
FIRST_WORD_SECONDS: Final = 1.0
"""Time until the first line on a wait."""
REPEAT_SECONDS: Final = 60.0
"""Time between the lines on a wait."""


class Lock:
    """A lock that is held until `release`, or until the process ends; a process may hold several on one file."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def sign(self) -> None:
        """Write this process's id into the file, for those who wait; only for files that serve as locks alone."""
        with suppress(PermissionError):  # another person's, who has done so
            os.fchmod(self._descriptor, 0o666)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()} on {socket.gethostname()}".encode(), 0)

    def touch(self) -> None:
        """Show those who wait that the work goes on."""
        with suppress(PermissionError):  # another person's
            os.utime(self._descriptor)

    def release(self, *, delete: bool = False) -> None:
        """Release the lock; `delete` removes the file first, for which the lock must be exclusive."""
        if delete:
            with suppress(PermissionError):  # another person's, in a folder where only owners may delete
                self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def try_lock(path: Path, *, shared: bool = False) -> Lock | None:
    """Lock a file, or return None if another lock is in the way.

    Args:
        path: The file. An exclusive lock creates a missing file; an existing file keeps its content and time.
        shared: Whether others may hold shared locks at the same time.

    Raises:
        FileNotFoundError: The file, or for an exclusive lock its folder, is missing.
        ResourceError: The file system has no locks.
        OSError: The file cannot be opened.
    """
    while True:
        descriptor = _open(path, shared)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            # Another process may have removed the file since it was opened: a lock on it would keep nobody out.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return Lock(path, descriptor)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        except OSError as error:
            os.close(descriptor)
            raise _cannot_lock(path, error, "to a local disk") from None
        os.close(descriptor)


def wait_for_lock(path: Path, doing: str, announce: Callable[[str], None], *, shared: bool = False) -> Lock:
    """Wait until a file can be locked, and announce a long wait in a line a minute.

    Args:
        path: The file; the holder of an exclusive lock writes its id into it.
        doing: What the holder does, such as ``decodes camvid``.
        announce: Told the lines.
        shared: As in `try_lock`.

    Raises:
        FileNotFoundError, NotADirectoryError: The file of a shared lock is missing.
        ResourceError: The file cannot be opened, or the file system has no locks.
    """
    start = time.monotonic()
    next_word = FIRST_WORD_SECONDS
    touched = -1
    while (lock := _try_or_explain(path, shared)) is None:
        if touched != (touched := _last_touch(path)):
            activity.doing(f"waiting for another process, which {doing}")
        waited = time.monotonic() - start
        if waited >= next_word:
            announce(_word(path, doing, waited))
            next_word += REPEAT_SECONDS
        time.sleep(POLL_SECONDS)
    if not shared:
        lock.sign()
    return lock


def _open(path: Path, shared: bool) -> int:
    if shared:
        return os.open(path, os.O_RDONLY)
    # Without O_CREAT first: in a folder such as /tmp, Linux may refuse it for another person's file.
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDWR)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _try_or_explain(path: Path, shared: bool) -> Lock | None:
    try:
        return try_lock(path, shared=shared)
    except OSError as error:
        if shared and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise
        raise _cannot_lock(path, error, "to a folder of your own") from None


def _cannot_lock(path: Path, error: OSError, where: str) -> ResourceError:
    return ResourceError(f"cannot lock {str(path)!r}: {error.strerror}; set data.cache_dir or $SEGRAY_CACHE {where}")


def _last_touch(path: Path) -> int:
    """Return the time at which the holder of a lock last showed that its work goes on."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # released just now
        return 0


def _word(path: Path, doing: str, waited: float) -> str:
    try:
        pid, _, host = path.read_text(encoding="utf-8").partition(" on ")
    except FileNotFoundError:  # released just now
        pid = host = ""
    where = "" if host in ("", socket.gethostname()) else f" on {host}"
    process = f"process {pid}{where}" if pid else "another process"
    if waited < REPEAT_SECONDS:
        return f"waiting for {process}, which {doing}"
    return (
        f"still waiting for {process}, which {doing}, after {waited / 60:.0f} min; "
        "if it has stopped or hangs, end it, and this process goes on"
    )
