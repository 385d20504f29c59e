"""Let only one start of a sweep at a time write the sweep's files.

Each start takes the next number and writes its process into ``owner-NUMBER.json``, a file that only one process can
create. The start with the highest number owns the sweep until it releases the sweep. Before a start writes, it reads
its own file again, since a later start would have deleted it. `Claim.check` does so as the guard of the sweep's folder,
in workers too.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from segray.errors import OutageError, StorageError, SweepTakenError
from segray.folder import Folder
from segray.process import ProcessStatus, machine_id, process_status
from segray.records import OwnerRecord, SweepState, SweepStatus

BEAT_SECONDS = 5.0
"""Time between an owner's signs of life, for starts on machines that cannot see its process."""

WATCH_SECONDS = 3 * BEAT_SECONDS
"""Time that a start watches for a sign of life, or for a change of an older version's state.json."""

FRESH_SECONDS = 1.0
"""Time for which a look at the own file stays valid: no start takes a sweep over from an owner who just looked."""

SETTLE_SECONDS = 2.0
"""Time that a start waits on an object store before it reads what it wrote, since the last of two writers wins."""

_NAME = re.compile(r"owner-(\d{6,})\.(json|beat)", re.ASCII)


@dataclass
class Claim:
    """A start's right to write in a sweep's folder; a context manager that releases the right at the end.

    `take` or the first write takes the claim; until then, no file names an owner.
    """

    folder: Folder
    """The sweep's folder, without a guard"""
    number: int = 0
    """Number of the start; 0 before the claim is taken"""
    token: str = ""
    _looked_at: float = field(default=0.0, compare=False)
    _released: threading.Event | None = field(default=None, compare=False)
    _beating: threading.Thread | None = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, object]:
        # Workers check the file themselves, but only the driver gives signs of life.
        return {**vars(self), "_looked_at": 0.0, "_released": None, "_beating": None}

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def take(self, announce: Callable[[str], None] = lambda _line: None) -> None:
        """Become the sweep's owner.

        Args:
            announce: Called with a line if it takes time to see whether an earlier start is alive.

        Raises:
            StorageError: Another start is alive or was faster, or the folder cannot be written.
        """
        number, owner = _latest(self.folder)
        if owner is not None:
            _check_dead(self.folder, number, owner, announce)
        own = _this_process()
        if not self.folder.write_new_json(_file(number + 1), own.model_dump()):
            raise _still_running(self.folder)
        if not self.folder.is_local:
            time.sleep(SETTLE_SECONDS)
        if _latest(self.folder) != (number + 1, own):
            raise _still_running(self.folder)
        self.number, self.token = number + 1, own.token
        for name, other in _numbered(self.folder):
            if other < self.number:
                self.folder.delete(name)
        self._released = threading.Event()
        self._beating = threading.Thread(target=_beat, args=(self.folder, self.number, self._released), daemon=True)
        self._beating.start()

    def check(self) -> None:
        """Check that the sweep still belongs to this start; take the sweep if it has no owner yet.

        Raises:
            SweepTakenError: Another start has taken the sweep over.
            OutageError: The sweep's folder is out of reach, or gone.
            StorageError: The owner's file cannot be read.
        """
        if not self.number:
            self.take()
        # The monotonic clock would stand still while a laptop sleeps.
        now = time.time()
        if abs(now - self._looked_at) < FRESH_SECONDS:
            return
        own = _read(self.folder, self.number)
        if own is None or own.token != self.token:
            by = _latest(self.folder)[1]
            if by is None:
                raise OutageError(
                    f"the sweep's folder {self.folder.path!r} does not hold {_file(self.number)} any more: the storage "
                    "is out of reach, or someone has deleted the folder"
                )
            raise SweepTakenError(
                f"another start has taken over the sweep at {self.folder.path!r} (process {by.pid} on {by.host}) while "
                "this start was silent; this start ends and writes nothing more"
            )
        self._looked_at = now

    def release(self) -> None:
        """Give the sweep up; do nothing if this start never took it, or has lost it to another start."""
        if self._released is None or self._beating is None:
            return
        self._released.set()
        # The thread may be about to write its file, which is deleted below.
        self._beating.join(BEAT_SECONDS)
        self._looked_at = 0.0
        # Failing to write the release does no harm: the claim counts as dead when this process has ended.
        with contextlib.suppress(StorageError, SweepTakenError):
            self.check()
            own = _this_process().model_copy(update={"token": self.token, "released": True})
            self.folder.write_json(_file(self.number), own.model_dump())
            self.folder.delete(_beat_file(self.number))


def owner_is_gone(folder: Folder) -> bool:
    """Return whether the last start of a sweep has certainly ended: it said so, or its process here is gone."""
    owner = _latest(folder)[1]
    return owner is not None and (owner.released or (owner.machine == machine_id() and _status(owner) is None))


def status_now(folder: Folder, state: SweepState | None) -> SweepStatus:
    """Return a sweep's status: one that says that it runs, but is silent or without its process, was interrupted."""
    if state is None:
        return "interrupted"
    # The owner's file tells of a dead process at once; the state alone would need a minute of silence.
    runs = state.status == "running" and state.is_alive and not owner_is_gone(folder)
    return "interrupted" if state.status == "running" and not runs else state.status


def is_owner_file(name: str) -> bool:
    """Return whether a file names an owner of the sweep; such a file may be there before all other files."""
    return _NAME.fullmatch(name) is not None


def check_silent(folder: Folder, name: str, announce: Callable[[str], None]) -> None:
    """Raise StorageError if a version of segray without owner files is still writing a file."""
    if _latest(folder)[1] is not None:
        return
    announce(f"an earlier version of segray ran this sweep: watching {name} for {WATCH_SECONDS:g} s for a change")
    if _changes(folder, name):
        raise StorageError(f"the sweep at {folder.path!r} is still running; end it first ({name} says where it runs)")


def _check_dead(folder: Folder, number: int, owner: OwnerRecord, announce: Callable[[str], None]) -> None:
    """Raise StorageError if a sweep's owner is alive."""
    if owner.released:
        return
    if owner.machine == machine_id():
        if _status(owner) is not None:
            raise _still_running(folder)
        return
    announce(
        f"process {owner.pid} on {owner.host} ran this sweep last and did not say that it ended: "
        f"watching for a sign of life for {WATCH_SECONDS:g} s"
    )
    if _changes(folder, _beat_file(number)):
        raise _still_running(folder)


def _changes(folder: Folder, name: str) -> bool:
    """Return whether someone is writing a file; clocks of different machines are not compared."""

    def content() -> bytes:
        return folder.read_bytes(name) if folder.exists(name) else b""

    before = content()
    deadline = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < deadline:
        time.sleep(min(1.0, WATCH_SECONDS))
        if content() != before:
            return True
    return False


def _status(owner: OwnerRecord) -> ProcessStatus | None:
    """Look at the owner's process on this machine; return None if it has ended, even if another has its id now."""
    status = process_status(owner.pid)
    return status if status is not None and status.start == owner.process_start else None


def _still_running(folder: Folder) -> StorageError:
    owner = _latest(folder)[1]
    if owner is None:
        return StorageError(f"another start of the sweep at {folder.path!r} began at the same moment; try again")
    where = f"process {owner.pid} on {owner.host}"
    status = _status(owner) if owner.machine == machine_id() else None
    if status is not None and status.is_stopped:
        return StorageError(
            f"the sweep at {folder.path!r} belongs to {where}, which is stopped (SIGSTOP or Ctrl-Z): "
            f"continue it (kill -CONT {owner.pid}), or end it (kill -KILL {owner.pid}) and try again"
        )
    return StorageError(f"the sweep at {folder.path!r} is still running, as {where}; end it first")


def _this_process() -> OwnerRecord:
    status = process_status(os.getpid())
    assert status is not None
    return OwnerRecord(
        token=secrets.token_hex(16),
        host=socket.gethostname(),
        machine=machine_id(),
        pid=os.getpid(),
        process_start=status.start,
    )


def _beat(folder: Folder, number: int, released: threading.Event) -> None:
    """Write a new count every few seconds, as a sign of life."""
    count = 0
    while not released.wait(BEAT_SECONDS if count else 0):
        count += 1
        # The next one may succeed, and nothing is lost meanwhile.
        with contextlib.suppress(StorageError):
            latest = _latest(folder)[0]
            if latest > number:
                return
            # A folder that is out of reach, such as an unmounted one, must not be made again on another disk.
            if latest == number:
                folder.write_bytes(_beat_file(number), str(count).encode())


def _file(number: int) -> str:
    return f"owner-{number:06d}.json"


def _beat_file(number: int) -> str:
    return f"owner-{number:06d}.beat"


def _numbered(folder: Folder) -> list[tuple[str, int]]:
    """Return name and number of the owners' files and signs of life."""
    return [(name, int(match[1])) for name in folder.names() if (match := _NAME.fullmatch(name))]


def _latest(folder: Folder) -> tuple[int, OwnerRecord | None]:
    """Return the highest number and its owner; 0 and None before the first start."""
    number = max((number for name, number in _numbered(folder) if name.endswith(".json")), default=0)
    return number, _read(folder, number) if number else None


def _read(folder: Folder, number: int) -> OwnerRecord | None:
    """Read an owner; return None if the file is missing or damaged: a living start has written its whole file."""
    try:
        return OwnerRecord.model_validate_json(folder.read_bytes(_file(number)))
    except ValidationError:
        return None
    except StorageError:
        if folder.exists(_file(number)):
            raise
        return None
