"""What lies in the cache, and what must go to make room.

A folder of decoded images that a process maps is locked by that process (`IN_USE`), and the time of that file is when
it was last opened. Only folders of our own making are ever looked at.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segray.data.cache.locks import Lock, try_lock, wait_for_lock

IN_USE: Final = "in_use"
"""Empty file of an entry: users hold a shared lock on it, and its time says when the entry was last opened."""

_ENTRY: Final = re.compile(r"[\w-]+-[0-9a-f]{20}")
_LEFT_OVER: Final = re.compile(rf"({_ENTRY.pattern})\.(partial|lock|old)")


@dataclass(frozen=True)
class Entry:
    """Decoded images that are complete."""

    folder: Path
    num_bytes: int
    last_used: float


@dataclass(frozen=True)
class Room:
    """Whether an entry fits, and at whose cost."""

    victims: tuple[tuple[Entry, Lock], ...]
    """What must go first; locked, so that nobody begins to use it"""
    reason: str
    """Why something must go"""
    shortage: str
    """Why the entry does not fit even then; empty where it does"""

    def release(self) -> None:
        """Leave everything as it is."""
        for _, lock in self.victims:
            lock.release()

    def take(self, announce: Callable[[str], None]) -> None:
        """Remove the victims, and say so."""
        for entry, lock in self.victims:
            remove(entry.folder)
            lock.release()
            announce(f"removed {entry.folder.name}, {shown(entry.num_bytes)}, the least recently used: {self.reason}")


@contextmanager
def in_order(cache: Path, announce: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time decide what stays in the cache."""
    lock = wait_for_lock(cache / "segray.lock", f"makes room in {cache}", announce)
    try:
        yield
    finally:
        lock.release()


def find_room(folder: Path, needed: int, limit_gb: float | None) -> Room:
    """Room for an entry, within the limit and on the disk, at the cost of those least recently used.

    For callers that hold `in_order`; they take or release it.

    Args:
        folder: Of the entry; what it holds now does not count.
        needed: Bytes.
        limit_gb: Most that all entries together take, in 10^9 bytes; None for no limit.
    """
    cache = folder.parent
    others = [entry for entry in entries(cache) if entry.folder != folder]
    building = [path for path in cache.iterdir() if path.suffix == ".partial" and _LEFT_OVER.fullmatch(path.name)]
    taken = sum(entry.num_bytes for entry in others) + sum(folder_bytes(path) for path in building)
    available = shutil.disk_usage(cache).free - sum(_unwritten(path) for path in building)
    has = f"{str(cache)!r} has {shown(available)} free"
    if limit_gb is not None and limit_gb * 1e9 - taken < available:
        available = int(limit_gb * 1e9) - taken
        has = f"data.cache_limit_gb {limit_gb:g} allows for {shown(max(available, 0))} beside {shown(taken)}"
    victims = _victims(others, needed - available)
    room = Room(victims, f"{folder.name} needs {shown(needed)}, but {has}", "")
    freed = sum(entry.num_bytes for entry, _ in victims)
    if needed <= available + freed:
        return room
    room.release()
    in_use = f", of which {shown(taken - freed)} are in use" if taken > freed else ""
    return Room((), "", f"it needs {shown(needed)}, but {has}{in_use}")


def _victims(entries: list[Entry], missing: int) -> tuple[tuple[Entry, Lock], ...]:
    """The least recently used entries that nobody uses, until together they have the missing bytes."""
    victims = []
    for entry in sorted(entries, key=lambda entry: entry.last_used):
        if missing > 0 and (lock := _lock_unused(entry)) is not None:
            victims.append((entry, lock))
            missing -= entry.num_bytes
    return tuple(victims)


def entries(cache: Path) -> list[Entry]:
    """The complete entries of a cache."""
    return [_entry(path) for path in cache.iterdir() if _ENTRY.fullmatch(path.name) and _is_own_folder(path)]


def remove(folder: Path) -> None:
    """Remove an entry: at once by name, so that nobody finds half of it; of a link, the link."""
    if not _is_own_folder(folder):
        folder.unlink()
        return
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    shutil.rmtree(old, ignore_errors=True)


def clean(cache: Path) -> None:
    """Remove what builders that died left behind; for callers that hold `in_order`."""
    for name in {match[1] for path in cache.iterdir() if (match := _LEFT_OVER.fullmatch(path.name))}:
        try:
            lock = try_lock(cache / f"{name}.lock")
        except PermissionError:  # another person's
            continue
        if lock is not None:
            for suffix in ("partial", "old"):
                shutil.rmtree(cache / f"{name}.{suffix}", ignore_errors=True)
            lock.release(delete=True)


def shown(num_bytes: int) -> str:
    """A size for a person, such as ``7.3 GB``."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _is_own_folder(path: Path) -> bool:
    """Whether a path is a folder itself, not a link to one that lies elsewhere."""
    return path.is_dir() and not path.is_symlink()


def _entry(folder: Path) -> Entry:
    try:
        last_used = (folder / IN_USE).stat().st_mtime
    except FileNotFoundError:
        last_used = 0.0
    return Entry(folder, folder_bytes(folder), last_used)


def _lock_unused(entry: Entry) -> Lock | None:
    try:
        return try_lock(entry.folder / IN_USE)
    except OSError:  # another person's
        return None


def folder_bytes(folder: Path) -> int:
    """Size of an entry: of its files together."""
    return sum(status.st_size for status in _statuses(folder))


def _unwritten(folder: Path) -> int:
    return sum(max(0, status.st_size - 512 * status.st_blocks) for status in _statuses(folder))


def _statuses(folder: Path) -> list[os.stat_result]:
    try:
        return [file.stat() for file in folder.iterdir()]
    except OSError:  # gone meanwhile
        return []
