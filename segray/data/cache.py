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

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NamedTuple

from segray.activity import doing
from segray.config import DataConfig
from segray.config.keys import NOT_DECODED, values_deciding, without
from segray.config.mark import Decides
from segray.data.augment import strengths
from segray.data.build import Builder, Progress, num_cores
from segray.data.dataset import SPLITS, Dataset, Scoring
from segray.data.datasets import open_dataset
from segray.data.decode import turned_notes
from segray.data.label_totals import total_problems
from segray.data.locks import Lock, wait_for_lock
from segray.data.room import DEFAULT_LOCATION, IN_USE, cache_location, find_room, in_order
from segray.data.shards import Shard, num_bytes
from segray.data.source import Source, open_source
from segray.data.splits import divide
from segray.errors import ConfigError, DataError, ResourceError, listed
from segray.files import expanded
from segray.labels import LabelSpace

FORMAT_VERSION: Final = 7
"""Part of the key: raise it when decoding or the shards' layout changes."""

_in_use: Final[dict[Path, Lock]] = {}
"""Locks on what this process has opened, held until it ends: between trials, too, a sweep's images must not go."""

_announced: Final[set[tuple[Path, bool]]] = set()
"""Entries with and without pixels of which this process has said what is to say."""

_others: Final[set[Path]] = set()
"""Entries of other people that have been told of."""


@dataclass(frozen=True)
class PreparedData:
    """A data set whose images are decoded."""

    label_space: LabelSpace
    train: Shard
    val: Shard
    test: Shard
    """Images that no trial is chosen by; may be empty"""
    scoring: Scoring | None = None
    """The data set's own, where predictions are not judged by the labels of training"""
    built: bool = False
    """Whether this call decoded it"""
    shortage: str = ""
    """Why the images are not stored, but decoded whenever they are used; empty where they are stored"""

    @property
    def scored_space(self) -> LabelSpace:
        """The classes that predictions are judged by."""
        return self.label_space if self.scoring is None else self.scoring.label_space

    @property
    def val_classes(self) -> tuple[str, ...]:
        """The classes of `scored_space` that the validation labels hold, as they are judged: after `data.resize_px`."""
        names = self.scored_space.names
        return tuple(name for name, pixels in zip(names, self.val.truth_pixels, strict=True) if pixels)


class Listing(NamedTuple):
    """A data set's files, as this process found them."""

    dataset: Dataset
    folder_name: str
    """Of its shard in the cache"""
    num_bytes: Mapping[str, int]
    """Image name -> bytes of its photo and label files together"""


def listing(config: DataConfig) -> Listing:
    """The data set's files; a process lists them once, whatever the splits, policies and crops.

    Raises:
        ConfigError: A name is unknown, or the config lacks what the data set needs.
        DataError: Files are missing or cannot be read; all of them are named.
    """
    return _listing(without(config, *NOT_DECODED))


def prepare(
    config: DataConfig, announce: Callable[[str], None] = print, progress: Progress | None = None
) -> PreparedData:
    """Open the data set's shard, building it first if this node has none, or a damaged one.

    Where there is no room for decoded images, the shard has none, and they are decoded whenever they are used. A
    process lists the files once for all splits, policies and crops; what changes later goes unnoticed.

    Args:
        config: Data set, splits, sizes and policy; all of it is checked.
        announce: Told in lines what is built, where, the space it takes, what had to go for it, and how far it is.
        progress: Told instead how many images of how many are decoded.

    Raises:
        ConfigError: A name is unknown or a size cannot work.
        DataError: Files are missing, cannot be read or do not decode; all of them are named.
        ResourceError: The cache cannot be read or written.
    """
    check_values(config)
    dataset, name, _ = listing(config)
    splits = divide(dataset, config)
    folder = _cache_folder(config) / name
    source = open_source(dataset, config.resize_px)
    built = False
    shard, shortage = _stored(folder, source, config, announce)
    if shard is None:
        shard, shortage, built = _built(folder, dataset, source, config, announce, progress)
    if (folder, shard.has_pixels) not in _announced:
        _announced.add((folder, shard.has_pixels))
        for note in turned_notes(shard.turned):
            announce(f"note: {note}")
        if not shard.has_pixels:
            announce(_cost(shard, config, shortage))
    train, val, test = (shard.subset([pair.name for pair in splits[split]]) for split in SPLITS)
    learnt = {split: part.label_totals for split, part in (("train", train), ("val", val))}
    if problems := total_problems(dataset, shard.label_totals, learnt):
        raise DataError(f"{config.dataset} in {config.root!r} cannot be trained on:{listed(problems)}", problems)
    return PreparedData(dataset.label_space, train, val, test, dataset.scoring, built, shortage)


def check_values(config: DataConfig) -> None:
    """Check sizes and policy, for which no file is looked at.

    Raises:
        ConfigError: The policy is unknown or a size cannot work.
    """
    for key, size in (("data.crop_px", config.crop_px), ("data.resize_px", config.resize_px)):
        if size is not None and min(size) < 1:
            raise ConfigError(f"{key} must be (height, width), both at least 1, but got {list(size)}")
    strengths(config)


def with_absolute_paths(config: DataConfig) -> DataConfig:
    """The config for processes that start in other folders, or as another person."""
    places = values_deciding(config, Decides.PLACE).items()
    paths = {key.removeprefix("data."): path for key, path in places if path and isinstance(path, str)}
    return config.model_copy(update={name: str(expanded(path).absolute()) for name, path in paths.items()})


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


def _cost(shard: Shard, config: DataConfig, shortage: str) -> str:
    cores, seconds = num_cores(), shard.decode_seconds
    epoch = len(shard) * seconds / cores
    return (
        f"not enough room for the decoded images of {config.dataset}: {shortage}; they are decoded every time they are "
        f"used, about {1000 * seconds:.1f} ms of CPU time each, so about {epoch:.1f} s an epoch of all {len(shard)} on "
        f"{cores} cores; set data.cache_dir or $SEGRAY_CACHE to a larger disk, data.resize_px to a smaller size, or a "
        "larger data.cache_limit_gb"
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


@lru_cache
def _listing(config: DataConfig) -> Listing:
    def fingerprint(path: Path) -> tuple[str, int, int]:
        doing("listing the data")
        try:
            status = path.stat()
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            return "", 0, 0
        return os.path.relpath(path, root), status.st_size, status.st_mtime_ns

    dataset = open_dataset(config)
    root = expanded(config.root)
    problems: list[str] = []
    files = [(pair.name, fingerprint(pair.photo), fingerprint(pair.label)) for pair in dataset.pairs()]
    _refuse(config, problems)
    num_bytes = {name: photo[1] + label[1] for name, photo, label in files}
    return Listing(dataset, f"{config.dataset}-{_key(config, dataset, files)}", num_bytes)


def _key(config: DataConfig, dataset: Dataset, files: Sequence[tuple[object, ...]]) -> str:
    content = {
        "format": FORMAT_VERSION,
        "dataset": config.dataset,
        "classes": dataset.label_space.num_classes,
        "decoding": dataset.reader.key,
        "resize_px": config.resize_px,
        "files": files,
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:20]


def _refuse(config: DataConfig, problems: Sequence[str]) -> None:
    if problems:
        raise DataError(f"{len(problems)} files of {config.dataset} cannot be used:{listed(problems)}", problems)


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
