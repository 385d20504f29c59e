"""An entry of the cache: one data set's decoded images on one node.

    CACHE/DATASET-KEY/          a shard of all labelled images; it appears whole, by one rename
    CACHE/DATASET-KEY/in_use    empty; every process that opened the entry holds a shared lock on this file, and its
                                time says when the entry was last opened
    CACHE/DATASET-KEY.lock      locked by the process that builds the entry; holds that process's id
    CACHE/DATASET-KEY.partial/  the shard while it is built
    CACHE/DATASET-KEY.old/      the shard while it is removed

KEY is a hash of everything that the content depends on, so a changed file or another size gives another entry. The
system frees the locks of a process that dies.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segray.data.cache.locks import Lock, try_lock, wait_for_lock
from segray.data.cache.shards import Shard
from segray.data.cache.source import Source

_IN_USE: Final = "in_use"
_NAME: Final = re.compile(r"[\w-]+-[0-9a-f]{20}")
_UNFINISHED: Final = re.compile(rf"({_NAME.pattern})\.(partial|lock|old)")


@dataclass(frozen=True)
class Entry:
    """The files and the state of an entry, complete or not."""

    folder: Path
    """The complete shard"""

    @property
    def partial(self) -> Path:
        """The folder in which the entry is built."""
        return self.folder.with_name(f"{self.folder.name}.partial")

    @property
    def num_bytes(self) -> int:
        """Size of the complete shard; 0 where there is none."""
        return folder_bytes(self.folder)

    @property
    def last_used(self) -> float:
        """Time at which a process last opened the entry, in seconds since the epoch; 0 if none has."""
        try:
            return (self.folder / _IN_USE).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def is_complete(self) -> bool:
        """Return whether the shard is there, damaged or not."""
        return self.folder.exists()

    def open(self, source: Source) -> Shard:
        """Open the shard, and note the time.

        Args:
            source: Decodes the images if the shard has no pixels.

        Raises:
            DataError: The shard is damaged.
            OSError: A file cannot be read.
        """
        shard = Shard(self.folder, source=source)
        with suppress(PermissionError):  # another person's
            os.utime(self.folder / _IN_USE)
        return shard

    def lock_for_use(self, announce: Callable[[str], None]) -> Lock:
        """Wait for a shared lock, which keeps the entry from being removed.

        Raises:
            FileNotFoundError, NotADirectoryError: The entry is missing.
            ResourceError: The file cannot be locked.
        """
        cache = self.folder.parent
        return wait_for_lock(self.folder / _IN_USE, f"makes room in {cache}", announce, shared=True)

    def lock_for_removal(self) -> Lock | None:
        """Return a lock that keeps others from opening the entry, or None if a process uses it."""
        try:
            return try_lock(self.folder / _IN_USE)
        except OSError:  # another person's
            return None

    def lock_for_build(self, dataset: str, announce: Callable[[str], None]) -> Lock:
        """Wait for the lock of the process that builds the entry.

        Raises:
            ResourceError: The file cannot be locked.
        """
        path = self.folder.with_name(f"{self.folder.name}.lock")
        return wait_for_lock(path, f"decodes {dataset} into {self.folder}", announce)

    def mark_partial(self) -> None:
        """Put the file into `partial` on which users of the entry will hold their locks."""
        (self.partial / _IN_USE).touch()

    def publish(self) -> Lock:
        """Replace the shard by `partial`, and return a shared lock on it; for callers that hold `in_order`."""
        if self.is_complete():
            self._share_locks_with_partial()
        # Locked before the rename, so that no other process can evict the entry in between.
        lock = try_lock(self.partial / _IN_USE, shared=True)
        assert lock is not None
        if self.is_complete():
            self.remove()
        self.partial.rename(self.folder)
        return lock

    def _share_locks_with_partial(self) -> None:
        """Let those who opened the shard keep its successor, too, by giving both the same lock file."""
        linked = self.partial / "linked"
        with suppress(OSError):  # another person's, or a file system without links: no reason to stay without pixels
            os.link(self.folder / _IN_USE, linked)
            linked.replace(self.partial / _IN_USE)

    def remove(self) -> None:
        """Remove the shard: its name goes at once, so that nobody finds half of it. Of a link, remove the link."""
        if not _is_own_folder(self.folder):
            self.folder.unlink()
            return
        shutil.rmtree(self._old, ignore_errors=True)
        self.folder.rename(self._old)
        shutil.rmtree(self._old, ignore_errors=True)

    def remove_partial(self) -> None:
        """Remove `partial`, if there is one."""
        shutil.rmtree(self.partial, ignore_errors=True)

    def clean(self) -> None:
        """Remove what a process left that died while it built or removed the entry; for callers that hold `in_order`.

        An entry that a living process builds stays as it is.
        """
        try:
            lock = try_lock(self.folder.with_name(f"{self.folder.name}.lock"))
        except PermissionError:  # another person's
            return
        if lock is not None:
            self.remove_partial()
            shutil.rmtree(self._old, ignore_errors=True)
            lock.release(delete=True)

    @property
    def _old(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.old")


def entries(cache: Path) -> list[Entry]:
    """Return the complete entries of a cache; only folders that bear such a name are ever touched."""
    return [Entry(path) for path in cache.iterdir() if _NAME.fullmatch(path.name) and _is_own_folder(path)]


def unfinished_entries(cache: Path) -> list[Entry]:
    """Return the entries of a cache that a process builds or removes, or did when it died."""
    names = {match[1] for path in cache.iterdir() if (match := _UNFINISHED.fullmatch(path.name))}
    return [Entry(cache / name) for name in sorted(names)]


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder together; 0 if it is missing."""
    return sum(status.st_size for status in _statuses(folder))


def unwritten_bytes(folder: Path) -> int:
    """Return how much of the files' size has no blocks on the disk yet."""
    return sum(max(0, status.st_size - 512 * status.st_blocks) for status in _statuses(folder))


def _statuses(folder: Path) -> list[os.stat_result]:
    try:
        return [file.stat() for file in folder.iterdir()]
    except OSError:  # removed in the meantime
        return []


def _is_own_folder(path: Path) -> bool:
    """Return whether a path is a folder itself, not a link to one that lies elsewhere."""
    return path.is_dir() and not path.is_symlink()
