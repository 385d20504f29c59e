"""Decoded images, once per node: every trial and worker on it maps the same shards.

    CACHE/DATASET-KEY/         train/ and val/, each a shard; appears whole, by one rename; if damaged, built anew
    CACHE/DATASET-KEY.lock     held by the process that builds it; the system frees it should that process die
    CACHE/DATASET-KEY.partial/ while it is being built

KEY follows from all that the content depends on, so a changed file or another size gives another shard.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, ParamSpec, TypeVar

from filelock import FileLock, Timeout

from segray.config import DataConfig, SizePx
from segray.data.augment import build_policy, training_size
from segray.data.datasets import SPLITS, Pair, Split, open_dataset
from segray.data.decode import pair_size, read_label, read_photo, resize_pair
from segray.data.shards import BYTES_PER_PIXEL, Shard, ShardWriter, sync
from segray.errors import ConfigError, DataError, ResourceError, listed
from segray.labels import LabelSpace

FORMAT_VERSION: Final = 2
"""Part of the key: raise it when decoding or the shards' layout changes."""

Pairs = Mapping[Split, Sequence[Pair]]
_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PreparedData:
    """A data set whose images are decoded."""

    label_space: LabelSpace
    train: Shard
    val: Shard


def prepare(config: DataConfig, announce: Callable[[str], None] = print) -> PreparedData:
    """Open the data set's shards, building them first if this node has none, or damaged ones.

    A process lists the files once for all policies, crops and caches; what changes later in its life goes unnoticed.

    Args:
        config: Data set, sizes and policy; all of it is checked.
        announce: Told in one line what is built, where, and the space it takes.

    Raises:
        ConfigError: A name is unknown or a size cannot work.
        DataError: Files are missing, cannot be read or do not decode; all of them are named.
        ResourceError: The disk is too small for the shards, or they cannot be read.
    """
    _check_sizes(config)
    build_policy(config.policy, config.crop_px or (1, 1))
    content = config.model_copy(
        update={"policy": "", "crop_px": None, "num_loader_workers": None, "cache_dir": None}  # they change no shard
    )
    label_space, pairs, name = _listing(content)
    folder = _cache_folder(config) / name
    prepared = _open(folder, label_space) or _build_locked(folder, label_space, pairs, config, announce)
    training_size(prepared.train, config.crop_px)
    return prepared


def _open(folder: Path, label_space: LabelSpace) -> PreparedData | None:
    """The shards in a folder; None if there are none or they are damaged."""
    try:
        return PreparedData(label_space, Shard(folder / "train"), Shard(folder / "val"))
    except DataError:
        return None
    except OSError as error:
        raise ResourceError(f"cannot read decoded images in {str(folder)!r}: {error.strerror}") from None


def _check_sizes(config: DataConfig) -> None:
    for key, size in (("data.crop_px", config.crop_px), ("data.resize_px", config.resize_px)):
        if size is not None and min(size) < 1:
            raise ConfigError(f"{key} must be (height, width), both at least 1, but got {list(size)}")


def _cache_folder(config: DataConfig) -> Path:
    location = config.cache_dir or os.environ.get("SEGRAY_CACHE") or "~/.cache/segray"
    folder = Path(location).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ConfigError(
            f"cannot write decoded images to {str(folder)!r}: {error.strerror}; "
            "set data.cache_dir or $SEGRAY_CACHE to a folder that can be written"
        ) from None


@lru_cache
def _listing(config: DataConfig) -> tuple[LabelSpace, Pairs, str]:
    """The data set's classes, its files, and the name of its folder in the cache."""
    dataset = open_dataset(config)
    pairs: Pairs = {split: dataset.pairs(split) for split in SPLITS}
    return dataset.label_space, pairs, f"{config.dataset}-{_key(config, dataset.label_space, pairs)}"


def _key(config: DataConfig, label_space: LabelSpace, pairs: Pairs) -> str:
    def fingerprint(path: Path) -> tuple[str, int, int] | None:
        try:
            status = path.stat()
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            return None
        return os.path.relpath(path, root), status.st_size, status.st_mtime_ns

    problems: list[str] = []
    root = Path(config.root).expanduser()
    content = {
        "format": FORMAT_VERSION,
        "dataset": config.dataset,
        "classes": label_space.num_classes,
        "raw_to_train": sorted(label_space.raw_to_train.items()),
        "resize_px": config.resize_px,
        "files": {
            split: [(pair.name, fingerprint(pair.photo), fingerprint(pair.label)) for pair in pairs[split]]
            for split in SPLITS
        },
    }
    _refuse(config, problems)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:20]


def _refuse(config: DataConfig, problems: Sequence[str]) -> None:
    if problems:
        raise DataError(f"{len(problems)} files of {config.dataset} cannot be used:{listed(problems)}")


def _build_locked(
    folder: Path, label_space: LabelSpace, pairs: Pairs, config: DataConfig, announce: Callable[[str], None]
) -> PreparedData:
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        announce(f"waiting for another process that decodes {config.dataset} into {folder}")
        lock.acquire()
    try:
        # Another process may have built them while this one waited.
        return _open(folder, label_space) or _build(folder, label_space, pairs, config, announce)
    finally:
        lock.release()


def _build(
    folder: Path, label_space: LabelSpace, pairs: Pairs, config: DataConfig, announce: Callable[[str], None]
) -> PreparedData:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems: list[str] = []
        sizes = {split: _sizes(pairs[split], config.resize_px, pool, problems) for split in SPLITS}
        num_bytes = _check_space(folder.parent, [*sizes["train"].values(), *sizes["val"].values()])
        counts = ", ".join(f"{len(sizes[split])} {split}" for split in SPLITS)
        announce(f"decoding {config.dataset} ({counts}) once for this machine: {_shown(num_bytes)} in {folder}")
        try:
            for split in SPLITS:
                _decode(partial / split, sizes[split], label_space, pool, problems)
            _refuse(config, problems)
            sync(partial)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        except OSError as error:
            raise ResourceError(f"cannot write decoded images to {str(partial)!r}: {error.strerror or error}") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return PreparedData(label_space, Shard(folder / "train"), Shard(folder / "val"))


def _sizes(
    pairs: Sequence[Pair], resize_px: SizePx | None, pool: ThreadPoolExecutor, problems: list[str]
) -> dict[Pair, SizePx]:
    """Size at which each pair will be stored, from the files' headers; pairs without a readable one are problems."""
    sizes = {}
    for pair, size in zip(pairs, pool.map(lambda pair: _attempt(pair_size, pair), pairs), strict=True):
        if isinstance(size, DataError):
            problems.append(str(size))
        else:
            sizes[pair] = resize_px or size
    return sizes


def _shown(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _check_space(folder: Path, sizes: Sequence[SizePx]) -> int:
    """Bytes that the shards take, which the disk has."""
    needed = BYTES_PER_PIXEL * sum(height * width for height, width in sizes)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"decoded images need {_shown(needed)} but {str(folder)!r} has {_shown(free)} free; "
            "set data.cache_dir or $SEGRAY_CACHE to a larger disk, or data.resize_px to a smaller size"
        )
    return needed


def _decode(
    folder: Path, sizes: Mapping[Pair, SizePx], label_space: LabelSpace, pool: ThreadPoolExecutor, problems: list[str]
) -> None:
    names, num_classes = [pair.name for pair in sizes], label_space.num_classes
    writer = ShardWriter(folder, names, list(sizes.values()), num_classes)
    lookup_table = label_space.lookup_table()

    def put(index: int, pair: Pair, size: SizePx) -> list[str]:
        photo, label = _attempt(read_photo, pair.photo), _attempt(read_label, pair.label, lookup_table)
        if isinstance(photo, DataError) or isinstance(label, DataError):
            return [str(error) for error in (photo, label) if isinstance(error, DataError)]
        writer.put(index, *resize_pair(photo, label, size))
        return []

    for found in pool.map(put, range(len(sizes)), sizes.keys(), sizes.values()):
        problems += found
    writer.finish()


def _attempt(read: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs) -> _Result | DataError:
    """What `read` returns, or the DataError that it raises."""
    try:
        return read(*args, **kwargs)
    except DataError as error:
        return error
