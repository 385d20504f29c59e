"""Decoded images, once per node: every trial and worker on it maps the same shard, whatever its splits.

    CACHE/DATASET-KEY/         a shard of all labelled images; appears whole, by one rename; if damaged, built anew
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
from typing import Final, NamedTuple, ParamSpec, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from segray.config import AugmentConfig, DataConfig, SizePx, SplitConfig
from segray.data.augment import build_policy, training_size
from segray.data.dataset import SPLITS, Dataset, Images, Pair, Scoring
from segray.data.datasets import open_dataset
from segray.data.decode import resize_label, resize_pair
from segray.data.shards import BYTES_PER_PIXEL, Shard, ShardWriter
from segray.data.splits import Splits, divide
from segray.errors import ConfigError, DataError, ResourceError, listed
from segray.labels import LabelSpace

FORMAT_VERSION: Final = 4
"""Part of the key: raise it when decoding or the shards' layout changes."""

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


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

    @property
    def scored_space(self) -> LabelSpace:
        """The classes that predictions are judged by."""
        return self.label_space if self.scoring is None else self.scoring.label_space


class Listing(NamedTuple):
    """A data set's files, as this process found them."""

    dataset: Dataset
    folder_name: str
    """Of its shard in the cache"""
    num_bytes: Mapping[str, int]
    """Image name -> bytes of its photo and label files together"""


def listing(config: DataConfig) -> Listing:
    """The data set's files; a process lists them once, whatever the splits, policies, crops and caches.

    Raises:
        ConfigError: A name is unknown, or the config lacks what the data set needs.
        DataError: Files are missing or cannot be read; all of them are named.
    """
    return _listing(_content(config))


def prepare(config: DataConfig, announce: Callable[[str], None] = print) -> PreparedData:
    """Open the data set's shard, building it first if this node has none, or a damaged one.

    A process lists the files once for all splits, policies, crops and caches; what changes later in its life goes
    unnoticed.

    Args:
        config: Data set, splits, sizes and policy; all of it is checked.
        announce: Told in one line what is built, where, and the space it takes.

    Raises:
        ConfigError: A name is unknown or a size cannot work.
        DataError: Files are missing, cannot be read or do not decode; all of them are named.
        ResourceError: The disk is too small for the shard, or it cannot be read.
    """
    _check_sizes(config)
    build_policy(config.policy, config.crop_px or (1, 1))
    dataset, name, _ = listing(config)
    splits = divide(dataset, config)
    folder = _cache_folder(config) / name
    shard = _open(folder) or _build_locked(folder, dataset, config, announce)
    prepared = _prepared(dataset, shard, splits)
    training_size(prepared.train, config.crop_px)
    return prepared


def _content(config: DataConfig) -> DataConfig:
    """The config with all that changes no decoded image at its default."""
    return config.model_copy(
        update={
            "policy": "",
            "augment": AugmentConfig(),
            "rare_class_crops": 0.0,
            "crop_px": None,
            "split": SplitConfig(),
            "holdout": 0.0,
            "num_loader_workers": None,
            "cache_dir": None,
            "cache_limit_gb": None,
        }
    )


def _prepared(dataset: Dataset, shard: Shard, splits: Splits) -> PreparedData:
    train, val, test = (shard.subset([pair.name for pair in splits[split]]) for split in SPLITS)
    return PreparedData(dataset.label_space, train, val, test, dataset.scoring)


def _open(folder: Path) -> Shard | None:
    """The shard in a folder; None if there is none or it is damaged."""
    try:
        return Shard(folder)
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
def _listing(config: DataConfig) -> Listing:
    def fingerprint(path: Path) -> tuple[str, int, int]:
        try:
            status = path.stat()
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            return "", 0, 0
        return os.path.relpath(path, root), status.st_size, status.st_mtime_ns

    dataset = open_dataset(config)
    root = Path(config.root).expanduser()
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


def _build_locked(folder: Path, dataset: Dataset, config: DataConfig, announce: Callable[[str], None]) -> Shard:
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        announce(f"waiting for another process that decodes {config.dataset} into {folder}")
        lock.acquire()
    try:
        # Another process may have built it while this one waited.
        return _open(folder) or _build(folder, dataset, config, announce)
    finally:
        lock.release()


def _build(folder: Path, dataset: Dataset, config: DataConfig, announce: Callable[[str], None]) -> Shard:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems: list[str] = []
        sizes = _sizes(dataset, config.resize_px, pool, problems)
        num_bytes = _check_space(folder.parent, list(sizes.values()), has_truth=dataset.scoring is not None)
        announce(
            f"decoding {config.dataset} ({len(sizes)} images) once for this machine: {_shown(num_bytes)} in {folder}"
        )
        try:
            _decode(partial, sizes, dataset, pool, problems)
            _refuse(config, problems)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        except OSError as error:
            raise ResourceError(f"cannot write decoded images to {str(partial)!r}: {error.strerror or error}") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Shard(folder)


def _sizes(
    dataset: Dataset, resize_px: SizePx | None, pool: ThreadPoolExecutor, problems: list[str]
) -> dict[Pair, SizePx]:
    """Size at which each pair will be stored, from the files' headers; pairs without a readable one are problems."""
    sizes, pairs = {}, dataset.pairs()
    for pair, size in zip(pairs, pool.map(lambda pair: _attempt(dataset.reader.size, pair), pairs), strict=True):
        if isinstance(size, DataError):
            problems += size.problems
        else:
            sizes[pair] = resize_px or size
    return sizes


def _shown(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _check_space(folder: Path, sizes: Sequence[SizePx], *, has_truth: bool) -> int:
    """Bytes that the shard takes, which the disk has."""
    needed = (BYTES_PER_PIXEL + has_truth) * sum(height * width for height, width in sizes)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"decoded images need {_shown(needed)} but {str(folder)!r} has {_shown(free)} free; "
            "set data.cache_dir or $SEGRAY_CACHE to a larger disk, or data.resize_px to a smaller size"
        )
    return needed


def _decode(
    folder: Path, sizes: Mapping[Pair, SizePx], dataset: Dataset, pool: ThreadPoolExecutor, problems: list[str]
) -> None:
    names, num_classes = [pair.name for pair in sizes], dataset.label_space.num_classes
    writer = ShardWriter(folder, names, list(sizes.values()), num_classes, has_truth=dataset.scoring is not None)

    def put(index: int, pair: Pair, size: SizePx) -> Sequence[str]:
        images = _attempt(_read, dataset, pair)
        if isinstance(images, DataError):
            return images.problems
        (photo, label), truth = images
        writer.put(index, *resize_pair(photo, label, size), None if truth is None else resize_label(truth, size))
        return []

    for found in pool.map(put, range(len(sizes)), sizes.keys(), sizes.values()):
        problems += found
    writer.finish()


def _read(dataset: Dataset, pair: Pair) -> tuple[Images, NDArray[np.uint8] | None]:
    """Photo and label, and what predictions are judged by where that is not the label."""
    images = dataset.reader.read(pair)
    return images, None if dataset.scoring is None else dataset.scoring.read_truth(pair)


def _attempt(read: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs) -> _Result | DataError:
    """What `read` returns, or the DataError that it raises."""
    try:
        return read(*args, **kwargs)
    except DataError as error:
        return error
