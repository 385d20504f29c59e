"""Decoded images, once per node: every trial and worker on it maps the same shard, whatever its splits.

    CACHE/DATASET-KEY/         a shard of all labelled images; appears whole, by one rename; if damaged, built anew
    CACHE/DATASET-KEY/in_use   shared lock of every process that opened it; its time says when that last was
    CACHE/DATASET-KEY.lock     of the process that builds it, with its id
    CACHE/DATASET-KEY.partial/ while it is being built
    CACHE/segray.lock          of the process that decides what must go to make room

KEY follows from all that the content depends on, so a changed file or another size gives another shard. The system
frees the locks of a process that dies.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from segray.config import DataConfig
from segray.data.cache.build import Builder, Progress
from segray.data.cache.eviction import IN_USE, find_room, in_order
from segray.data.cache.locks import Lock, wait_for_lock
from segray.data.cache.shards import Shard, num_bytes
from segray.data.cache.source import Source, open_source
from segray.data.cache_location import DEFAULT_LOCATION, cache_location
from segray.data.datasets.dataset import Dataset
from segray.errors import ConfigError, DataError, ResourceError

_in_use: Final[dict[Path, Lock]] = {}
"""Locks on what this process has opened, held until it ends: between trials, too, a sweep's images must not go."""

_others: Final[set[Path]] = set()
"""Entries of other people that have been told of."""


def open_or_build(
    name: str, dataset: Dataset, config: DataConfig, announce: Callable[[str], None], progress: Progress | None
) -> tuple[Shard, str, bool]:
    """The data set's shard in the cache, why it has no pixels if it has none, and whether this call built it.

    Raises:
        ConfigError: The cache cannot be written.
        DataError: Files cannot be read or do not decode; all of them are named.
        ResourceError: The cache cannot be read.
    """
    folder = _cache_folder(config) / name
    source = open_source(dataset, config.resize_px)
    shard, shortage = _stored(folder, source, config, announce)
    if shard is not None:
        return shard, shortage, False
    return _built(folder, dataset, source, config, announce, progress)


def _stored(
    folder: Path, source: Source, config: DataConfig, announce: Callable[[str], None]
) -> tuple[Shard | None, str]:
    """The shard in a folder, unless it lacks pixels for which there is room now; and why it lacks them."""
    shard = _open(folder, source, announce)
    if shard is None or shard.has_pixels:
        return shard, ""
    with in_order(folder.parent, announce):
        needed = num_bytes(shard.sizes, has_truth=shard.has_truth)
        room = find_room(folder, needed, config.cache_limit_gb)
        room.release()
    return (shard if room.shortage else None), room.shortage


def _open(folder: Path, source: Source, announce: Callable[[str], None]) -> Shard | None:
    """The shard in a folder; None if there is none or it is damaged."""
    try:
        lock = wait_for_lock(folder / IN_USE, f"makes room in {folder.parent}", announce, shared=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        _check_owner(folder, announce)
        shard = Shard(folder, source=source)
        _mark_used(folder)
    except DataError:
        lock.release()
        return None
    except OSError as error:
        lock.release()
        raise ResourceError(
            f"cannot read decoded images in {str(folder)!r}: {error.strerror}; make them readable, or set "
            "data.cache_dir or $SEGRAY_CACHE to a folder of your own"
        ) from None
    _keep(folder, lock)
    return shard


def _check_owner(folder: Path, announce: Callable[[str], None]) -> None:
    """Say whose decoded images are trained on; in the folder that nobody chose, another person's count as damaged.

    Raises:
        DataError: They are another person's, who has no business there.
    """
    owner = folder.stat().st_uid
    if owner in (0, os.getuid()):
        return
    if folder.parent == DEFAULT_LOCATION.expanduser():
        raise DataError(f"decoded images in {str(folder)!r} are another person's")
    if folder not in _others:
        _others.add(folder)
        announce(
            f"the decoded images in {folder} are those of user {owner}, who decides what is trained on; set "
            "data.cache_dir or $SEGRAY_CACHE to a folder of your own unless you trust them"
        )


def _mark_used(folder: Path) -> None:
    with suppress(PermissionError):  # another person's
        os.utime(folder / IN_USE)


def _keep(folder: Path, lock: Lock) -> None:
    earlier = _in_use.get(folder)
    _in_use[folder] = lock
    if earlier:
        earlier.release()


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


def _built(
    folder: Path,
    dataset: Dataset,
    source: Source,
    config: DataConfig,
    announce: Callable[[str], None],
    progress: Progress | None,
) -> tuple[Shard, str, bool]:
    """The shard, why it has no pixels if it has none, and whether it is new."""
    lock = wait_for_lock(folder.with_name(f"{folder.name}.lock"), f"decodes {config.dataset} into {folder}", announce)
    try:
        in_use = None
        # Another process may have built it while this one waited.
        shard, shortage = _stored(folder, source, config, announce)
        if shard is None:
            builder = Builder(folder, dataset, config, lock, announce, progress)
            in_use, shortage = builder.build(has_index=_open(folder, source, announce) is not None)
            if in_use:
                _keep(folder, in_use)
            shard = _open(folder, source, announce)
    finally:
        lock.release(delete=True)
    if shard is None:
        raise ResourceError(f"decoded images in {str(folder)!r} were removed as soon as they were there; start again")
    return shard, shortage, in_use is not None
