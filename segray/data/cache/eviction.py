"""Makes room in the cache: the least recently used entries go that no process uses."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from segray.data.cache.entry import Entry, entries, folder_bytes, unfinished_entries, unwritten_bytes
from segray.data.cache.locks import Lock, wait_for_lock
from segray.text import data_size


class Victim(NamedTuple):
    """An entry to remove."""

    entry: Entry
    num_bytes: int
    lock: Lock
    """Held from the decision on, so that no process begins to use the entry"""


@dataclass(frozen=True)
class Room:
    """Whether an entry fits, and which others must go for it."""

    victims: tuple[Victim, ...]
    reason: str
    """Why something must go"""
    shortage: str
    """Why the entry does not fit even then; empty where it does"""

    def release(self) -> None:
        """Leave all entries as they are."""
        for victim in self.victims:
            victim.lock.release()

    def take(self, announce: Callable[[str], None]) -> None:
        """Remove the victims, and announce each."""
        for entry, num_bytes, lock in self.victims:
            entry.remove()
            lock.release()
            announce(f"removed {entry.folder.name}, {data_size(num_bytes)}, the least recently used: {self.reason}")


@contextmanager
def in_order(cache: Path, announce: Callable[[str], None]) -> Iterator[None]:
    """Let one process at a time decide what stays in the cache, by a lock on ``CACHE/segray.lock``."""
    lock = wait_for_lock(cache / "segray.lock", f"makes room in {cache}", announce)
    try:
        yield
    finally:
        lock.release()


def find_room(entry: Entry, needed: int, limit_gb: float | None) -> Room:
    """Find room for an entry within the limit and on the disk, at the cost of the least recently used entries.

    For callers that hold `in_order`; they take the room or release it.

    Args:
        entry: What is to be stored; what it holds now does not count.
        needed: Bytes.
        limit_gb: Most that all entries together take, in 10^9 bytes; None for no limit.
    """
    cache = entry.folder.parent
    others = {other: other.num_bytes for other in entries(cache) if other != entry}
    building = [unfinished.partial for unfinished in unfinished_entries(cache)]
    taken = sum(others.values()) + sum(folder_bytes(partial) for partial in building)
    available = shutil.disk_usage(cache).free - sum(unwritten_bytes(partial) for partial in building)
    has = f"{str(cache)!r} has {data_size(available)} free"
    if limit_gb is not None and limit_gb * 1e9 - taken < available:
        available = int(limit_gb * 1e9) - taken
        has = f"data.cache_limit_gb {limit_gb:g} allows for {data_size(max(available, 0))} beside {data_size(taken)}"
    room = Room(_victims(others, needed - available), f"{entry.folder.name} needs {data_size(needed)}, but {has}", "")
    freed = sum(victim.num_bytes for victim in room.victims)
    if needed <= available + freed:
        return room
    room.release()
    in_use = f"; {data_size(taken - freed)} of these are in use" if taken > freed else ""
    return Room((), "", f"it needs {data_size(needed)}, but {has}{in_use}")


def _victims(sizes: Mapping[Entry, int], missing: int) -> tuple[Victim, ...]:
    """Lock the least recently used entries that no process uses, until together they hold the missing bytes."""
    victims = []
    for entry in sorted(sizes, key=lambda entry: entry.last_used):
        if missing > 0 and (lock := entry.lock_for_removal()) is not None:
            victims.append(Victim(entry, sizes[entry], lock))
            missing -= sizes[entry]
    return tuple(victims)


def clean(cache: Path) -> None:
    """Remove what builders that died left behind; for callers that hold `in_order`."""
    for entry in unfinished_entries(cache):
        entry.clean()
