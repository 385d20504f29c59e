"""Makes the record of splits (splits.json), and checks that the files on a machine still give the same splits."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterable, Iterator
from typing import Final

from segray.config import DataConfig
from segray.config.keys import READ_LABELS, values_deciding
from segray.config.run import nest
from segray.data.cache.fingerprint import listing
from segray.data.datasets.dataset import SPLITS, Split
from segray.data.files.pair import normal
from segray.data.splits.division import divide, split_kind
from segray.errors import DataError
from segray.records import SplitRecord

NUM_NAMED = 3
"""Images of each kind of difference that a message names; the error's problems hold all of them."""


ADDED_LATER: Final = {"data.folder.class_ids", "data.folder.image_suffix", "data.folder.label_suffix"}
"""Keys that earlier versions lack; left out if they are empty, so that old records still match."""


def record_splits(config: DataConfig, choices: Iterable[DataConfig] = ()) -> SplitRecord:
    """Return which images of the data set are in which split, and how label files are read.

    Args:
        config: The data set, whose files are listed but not decoded.
        choices: The configs of trials, if these may differ in their labels; empty if all trials have the config's.

    Raises:
        ConfigError: A name is unknown, or the images cannot be divided as the config says.
        DataError: Files are missing or cannot be read, or a split would have no image.
    """
    dataset, _, num_bytes = listing(config)
    kind = split_kind(dataset, config)
    by_seed = kind != "official" or "val" not in dataset.official or config.holdout > 0
    return SplitRecord(
        dataset=config.dataset,
        kind=kind,
        sizes=(config.split.sizes or dataset.split_sizes) if kind == "ratio" else None,
        folds=config.split.folds if kind == "kfold" else None,
        fold=config.split.fold if kind == "kfold" else None,
        seed=config.split.seed if by_seed else None,
        holdout=config.holdout,
        **{
            split: {pair.name: num_bytes[pair.name] for pair in pairs}
            for split, pairs in divide(dataset, config).items()
        },
        labels=dict(map(_choice_and_labels, tuple(choices) or (config,))),
    )


def check_splits(record: SplitRecord, config: DataConfig) -> None:
    """Check that the files on this machine give the splits and labels that a sweep started with, and have their sizes.

    Raises:
        ConfigError: The images cannot be divided as the config says.
        DataError: An image is new, is gone, changed sides, or is in files of another size; the error lists every such
            image as a problem. Or labels decode differently, such as after another K-Means fit.
    """
    choice, labels = _choice_and_labels(config)
    if record.labels.get(choice, labels) != labels:
        raise DataError(
            f"the labels of the data set at {config.root!r} decode differently on {socket.gethostname()} than on the "
            "machine that started the sweep, but all its trials must be trained on the same labels; use the same "
            "version of segray, and if labels are from K-Means, copy the file kmeans-*.json that "
            "docs/datasets/cityscapes_pairs.md names"
        )
    differences = _differences(_by_name(record), _by_name(record_splits(config)))
    if not any(differences.values()):
        return
    lines = "".join(f"\n  {_in_short(what, images)}" for what, images in differences.items() if images)
    raise DataError(
        f"the data set at {config.root!r} on {socket.gethostname()} is not the one that the sweep started with, but "
        "all its trials must be trained and judged on the same images; restore these files, or start a new sweep:"
        f"{lines}",
        [f"{image}: {what}" for what, images in differences.items() for image in images],
    )


def same_images(first: SplitRecord, second: SplitRecord) -> bool:
    """Return whether two sweeps train on the same images and are judged on the same ones."""
    # Test images choose no trial.
    used = [
        {name: found for name, found in _by_name(record).items() if found[0] != "test"} for record in (first, second)
    ]
    return used[0] == used[1]


def same_labels(first: SplitRecord, second: SplitRecord) -> bool:
    """Return whether the choices of labels that two records share decode alike."""
    return all(second.labels.get(choice, labels) == labels for choice, labels in first.labels.items())


def _choice_and_labels(config: DataConfig) -> tuple[str, str]:
    values = values_deciding(config, *READ_LABELS)
    chosen = nest({key: value for key, value in values.items() if value or key not in ADDED_LATER})["data"]
    return _hash(json.dumps(chosen, sort_keys=True)), _hash(listing(config).dataset.reader.key)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _by_name(record: SplitRecord) -> dict[str, tuple[Split, int]]:
    def images() -> Iterator[tuple[str, tuple[Split, int]]]:
        for split in SPLITS:
            for name, num_bytes in getattr(record, split).items():
                # Earlier versions recorded decomposed names as they were.
                yield normal(name), (split, num_bytes)

    return dict(images())


def _differences(before: dict[str, tuple[Split, int]], now: dict[str, tuple[Split, int]]) -> dict[str, list[str]]:
    both = [(name, *before[name], *now[name]) for name in before if name in now]
    return {
        "gone": [f"{name} ({before[name][0]})" for name in before if name not in now],
        "new": [f"{name} ({now[name][0]})" for name in now if name not in before],
        "on another side": [f"{name} ({was} to {is_now})" for name, was, _, is_now, _ in both if was != is_now],
        "in files of another size": [
            f"{name} ({was} to {is_now} bytes)"
            for name, side, was, side_now, is_now in both
            if side == side_now and was != is_now
        ],
    }


def _in_short(what: str, images: list[str]) -> str:
    rest = f" and {len(images) - NUM_NAMED} more" if len(images) > NUM_NAMED else ""
    count = "1 image is" if len(images) == 1 else f"{len(images)} images are"
    return f"{count} {what}: {', '.join(images[:NUM_NAMED])}{rest}"
