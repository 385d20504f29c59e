"""Opens the data set's entry of the cache, and has it built first where it is missing or damaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NamedTuple

from segray.config import DataConfig
from segray.data.cache.build import Builder, Progress, num_cores
from segray.data.cache.entry import Entry
from segray.data.cache.eviction import find_room, in_order
from segray.data.cache.locks import Lock
from segray.data.cache.shards import Shard, pixel_bytes
from segray.data.cache.source import open_source
from segray.data.cache_location import DEFAULT_LOCATION, cache_location
from segray.data.datasets.dataset import Dataset
from segray.data.files.decode import turned_notes
from segray.errors import ConfigError, DataError, ResourceError

_in_use: Final[dict[Entry, Lock]] = {}
"""Locks on the entries that this process has opened. They are held until the process ends, because a sweep's images
must stay between its trials, too."""

_others: Final[set[Entry]] = set()
"""Entries of other people that this process has announced."""

_announced: Final[set[tuple[Path, bool]]] = set()
"""Folders of shards that this process has announced, each with or without pixels."""


class Opened(NamedTuple):
    """A shard of the cache, and how the process came by it."""

    shard: Shard
    shortage: str
    """Why the shard has no pixels; empty where it has them"""
    built: bool
    """Whether this call built it"""


def open_or_build(
    name: str, dataset: Dataset, config: DataConfig, announce: Callable[[str], None], progress: Progress | None
) -> Opened:
    """Open the data set's shard in the cache; build it first if this node has none, or a damaged one.

    Args:
        name: Name of the entry.
        dataset: Opened from the config.
        config: Says where the cache is, and how large it may be.
        announce: Told in lines what happens, and once what is worth to know of the shard.
        progress: Told how many images of how many are decoded; None has lines announced now and then.

    Raises:
        ConfigError: The cache cannot be written.
        DataError: Files cannot be read or do not decode; the error names all of them.
        ResourceError: The cache cannot be read.
    """
    access = _Access(Entry(_cache_folder(config) / name), dataset, config, announce, progress)
    opened = access.find() or access.build()
    if (opened.shard.folder, opened.shard.has_pixels) not in _announced:
        _announced.add((opened.shard.folder, opened.shard.has_pixels))
        for line in _notes(opened, config):
            announce(line)
    return opened


def _notes(opened: Opened, config: DataConfig) -> Iterator[str]:
    shard = opened.shard
    yield from (f"note: {note}" for note in turned_notes(shard.turned))
    if not shard.has_pixels:
        cores, seconds = num_cores(), shard.decode_seconds
        epoch = len(shard) * seconds / cores
        yield (
            f"not enough room for the decoded images of {config.dataset}: {opened.shortage}; they are decoded every "
            f"time they are used, about {1000 * seconds:.1f} ms of CPU time each, so about {epoch:.1f} s an epoch of "
            f"all {len(shard)} on {cores} cores; set data.cache_dir or $SEGRAY_CACHE to a larger disk, data.resize_px "
            "to a smaller size, or a larger data.cache_limit_gb"
        )


def _cache_folder(config: DataConfig) -> Path:
    folder = cache_location(config)
    try:
        # What is trained on must not be another's to change, unless the person has chosen a shared folder.
        folder.mkdir(0o700 if folder == DEFAULT_LOCATION.expanduser() else 0o777, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ConfigError(
            f"cannot write decoded images to {str(folder)!r}: {error.strerror}; "
            "set data.cache_dir or $SEGRAY_CACHE to a folder that can be written"
        ) from None


@dataclass(frozen=True)
class _Access:
    """One process's way to an entry."""

    entry: Entry
    dataset: Dataset
    config: DataConfig
    announce: Callable[[str], None]
    progress: Progress | None

    def find(self) -> Opened | None:
        """Open the shard, unless it is missing or damaged, or lacks pixels for which there is room now."""
        shard = self._open()
        if shard is None:
            return None
        if shard.has_pixels:
            return Opened(shard, "", built=False)
        with in_order(self.entry.folder.parent, self.announce):
            needed = pixel_bytes(shard.sizes, has_judged=shard.has_judged)
            room = find_room(self.entry, needed, self.config.cache_limit_gb)
            room.release()
        return Opened(shard, room.shortage, built=False) if room.shortage else None

    def build(self) -> Opened:
        """Build the shard and open it, unless another process builds it in the meantime.

        Raises:
            DataError: Files cannot be used; the error names all of them.
            ResourceError: The cache cannot be read or written.
        """
        lock = self.entry.lock_for_build(self.config.dataset, self.announce)
        try:
            # Another process may have built it while this one waited.
            found = self.find()
            if found is not None:
                return found
            builder = Builder(self.entry, self.dataset, self.config, lock, self.announce, self.progress)
            in_use, shortage = builder.build(has_index=self._open() is not None)
            if in_use:
                _keep(self.entry, in_use)
            shard = self._open()
        finally:
            lock.release(delete=True)
        if shard is None:
            raise ResourceError(
                f"decoded images in {str(self.entry.folder)!r} were removed as soon as they were there; start again"
            )
        return Opened(shard, shortage, in_use is not None)

    def _open(self) -> Shard | None:
        """Open the shard; return None if there is none or it is damaged."""
        try:
            lock = self.entry.lock_for_use(self.announce)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            self._check_owner()
            shard = self.entry.open(open_source(self.dataset, self.dataset.pairs(), self.config.resize_px))
        except DataError:
            lock.release()
            return None
        except OSError as error:
            lock.release()
            raise ResourceError(
                f"cannot read decoded images in {str(self.entry.folder)!r}: {error.strerror}; make them readable, or "
                "set data.cache_dir or $SEGRAY_CACHE to a folder of your own"
            ) from None
        _keep(self.entry, lock)
        return shard

    def _check_owner(self) -> None:
        """Announce whose decoded images are trained on, if another person may change them.

        Raises:
            DataError: They lie in the default location, where nobody but its owner has any business.
        """
        folder = self.entry.folder
        owner = folder.stat().st_uid
        if owner in (0, os.getuid()):
            return
        if folder.parent == DEFAULT_LOCATION.expanduser():
            raise DataError(f"decoded images in {str(folder)!r} are another person's")
        if self.entry not in _others:
            _others.add(self.entry)
            self.announce(
                f"the decoded images in {folder} are those of user {owner}, who decides what is trained on; set "
                "data.cache_dir or $SEGRAY_CACHE to a folder of your own unless you trust them"
            )


def _keep(entry: Entry, lock: Lock) -> None:
    """Hold a lock until this process ends, in place of an earlier one on the same entry."""
    earlier = _in_use.get(entry)
    _in_use[entry] = lock
    if earlier:
        earlier.release()
