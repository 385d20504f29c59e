"""Lists the files of a data set once per process, and derives the name of their entry in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from segray.activity import doing
from segray.config import DataConfig
from segray.config.keys import NOT_DECODED, without
from segray.data.datasets import open_dataset
from segray.data.datasets.dataset import Dataset
from segray.errors import DataError, listed
from segray.files import expanded

FORMAT_VERSION: Final = 7
"""Part of the key. Raise it whenever decoding or the layout of shards changes."""


class Listing(NamedTuple):
    """The files of a data set, as this process found them."""

    dataset: Dataset
    folder_name: str
    """Name of the shard's folder in the cache"""
    num_bytes: Mapping[str, int]
    """Image name -> size of its photo and label files together"""


def listing(config: DataConfig) -> Listing:
    """Return the data set's files; a process lists them once for all splits, policies and crops.

    Raises:
        ConfigError: A name is unknown, or the config lacks what the data set needs.
        DataError: Files are missing or cannot be read; the error names all of them.
    """
    return _listing(without(config, *NOT_DECODED))


def forget_listings() -> None:
    """Forget which files were found, so that the process lists data sets again."""
    _listing.cache_clear()


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
