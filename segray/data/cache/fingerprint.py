"""The files of a data set as this process found them, and the name in the cache that follows from them."""

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
"""Part of the key: raise it when decoding or the shards' layout changes."""


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
