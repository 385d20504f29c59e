"""Divides images into train, val and test, by the data set's own folders or by seed, never by the order of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from segray import text
from segray.config import DataConfig
from segray.data.datasets.dataset import SPLITS, Dataset, Split
from segray.data.files.pair import Pair
from segray.errors import ConfigError, DataError
from segray.records import SplitKind

Splits = dict[Split, list[Pair]]


def divide(dataset: Dataset, config: DataConfig) -> Splits:
    """Return the images of every split, in order of their names; `test` may be empty.

    A division by seed keeps sequences whole. It ranks them by a hash of seed and sequence, so the order of files does
    not matter, and a new file moves few images to another side. If the data set's folders name only a test split,
    validation takes its share of the training images by seed. With `data.all_data`, the validation images are in the
    training split too.

    Args:
        dataset: The data set.
        config: Says how to divide, by `split` and `holdout`.

    Raises:
        ConfigError: The config asks for an official split that the data set lacks, or sizes or folds cannot work.
        DataError: A split would have no image.
    """
    kind = split_kind(dataset, config)
    if kind == "official":
        splits = {split: list(dataset.official.get(split, ())) for split in SPLITS}
        if "val" not in dataset.official:
            wanted = max(round(len(splits["train"]) * dataset.split_sizes[1]), 1)
            splits["val"], splits["train"] = _take(ranked(splits["train"], config.split.seed), wanted)
        _hold_out(splits, config)
    elif kind == "ratio":
        splits = _by_ratio(dataset.pairs(), config.split.sizes or dataset.split_sizes, config.split.seed)
        _hold_out(splits, config)
    else:
        splits = _by_fold(dataset, config)
    for split, why in (("train", "training"), ("val", "validation")):
        if not splits[split]:  # type: ignore[index]
            num_sequences = len(ranked(dataset.pairs(), config.split.seed))
            raise DataError(
                f"the {why} split of {config.dataset} must have an image, but data.split {kind} and data.holdout "
                f"{config.holdout:g} give {_counts(splits)}; the {len(dataset.pairs())} images are from "
                f"{text.counted(num_sequences, 'sequence')}, and a sequence stays on one side"
            )
    if config.all_data:
        # Still listed as validation images too: their scores show whether training works, though they choose nothing.
        splits["train"] += splits["val"]
    return {split: sorted(splits[split]) for split in SPLITS}


def split_kind(dataset: Dataset, config: DataConfig) -> SplitKind:
    """Return how the images are divided: `data.split.kind`, or the kind that `auto` stands for.

    Raises:
        ConfigError: The config asks for an official split that the data set lacks.
    """
    kind = config.split.kind
    if kind == "auto":
        return "official" if dataset.official else "ratio"
    if kind == "official" and not dataset.official:
        raise ConfigError(
            f"data.split.kind official needs a data set that comes divided, but {config.dataset} does not; "
            "use ratio or kfold"
        )
    return kind


def _counts(splits: Mapping[Split, Sequence[Pair]]) -> str:
    return ", ".join(f"{len(splits[split])} {split}" for split in SPLITS)


def _hold_out(splits: Splits, config: DataConfig) -> None:
    """Take the test split out of the training images, if the config asks for one."""
    if config.holdout == 0:
        return
    if splits["test"]:
        raise ConfigError(
            f"data.holdout must be 0 if the data set has a test split, but is {config.holdout:g}, and there are "
            f"{len(splits['test'])} test images"
        )
    wanted = max(round(len(splits["train"]) * config.holdout), 1)
    splits["test"], splits["train"] = _take(ranked(splits["train"], config.split.seed), wanted)


def _by_ratio(pairs: Sequence[Pair], sizes: tuple[float, float, float], seed: int) -> Splits:
    wanted = _counts_of(sizes, len(pairs))
    test, rest = _take(ranked(pairs, seed), wanted[2])
    val, train = _take(ranked(rest, seed), wanted[1])
    if sum(sizes) > 1 + 1e-9:
        train = train[: wanted[0]]
    return {"train": train, "val": val, "test": test}


def _counts_of(sizes: tuple[float, float, float], num_images: int) -> list[int]:
    """Return the number of images of each split, from shares that sum to 1 or from counts."""
    if min(sizes) < 0 or not (abs(sum(sizes) - 1) < 1e-6 or all(size == int(size) for size in sizes)):
        raise ConfigError(
            "data.split.sizes must be shares of train, val and test that sum to 1, or three counts, but got "
            f"{list(sizes)}"
        )
    if abs(sum(sizes) - 1) < 1e-6:
        val, test = (max(round(size * num_images), 1) if size else 0 for size in sizes[1:])
        return [num_images - val - test, val, test]
    counts = [int(size) for size in sizes]
    if sum(counts) > num_images:
        raise ConfigError(
            f"data.split.sizes must sum to at most the {num_images} labelled images, but {counts} sum to {sum(counts)}"
        )
    return counts


def _by_fold(dataset: Dataset, config: DataConfig) -> Splits:
    """Divide for cross-validation over all images but the test split, which is the same for every fold."""
    split = config.split
    if split.fold >= split.folds:
        raise ConfigError(f"data.split.fold must be below data.split.folds, {split.folds}, but got {split.fold}")
    test = list(dataset.official.get("test", ()))
    kept = set(test)
    splits: Splits = {"train": [pair for pair in dataset.pairs() if pair not in kept], "val": [], "test": test}
    _hold_out(splits, config)
    folds: list[list[Pair]] = [[] for _ in range(split.folds)]
    for group in ranked(splits["train"], split.seed):
        min(folds, key=len).extend(group)
    splits["train"] = _flat([fold for number, fold in enumerate(folds) if number != split.fold])
    splits["val"] = folds[split.fold]
    return splits


def ranked(pairs: Sequence[Pair], seed: int) -> list[list[Pair]]:
    """Group the images by sequence, in an order of sequences that depends on seed and names alone."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(f"sequence {pair.sequence}" if pair.sequence else pair.name, []).append(pair)
    return [groups[key] for key in sorted(groups, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())]


def _take(groups: Sequence[Sequence[Pair]], wanted: int) -> tuple[list[Pair], list[Pair]]:
    """Take whole groups in order, each if it brings the number of images nearer to the wanted one, and return the rest.

    At least one group is taken if any image is wanted and two groups are there.
    """
    taken: list[Sequence[Pair]] = []
    rest: list[Sequence[Pair]] = []
    num_taken = 0
    for group in groups:
        if abs(num_taken + len(group) - wanted) < abs(num_taken - wanted):
            taken.append(group)
            num_taken += len(group)
        else:
            rest.append(group)
    if wanted and not taken and len(rest) > 1:
        taken.append(rest.pop(rest.index(min(rest, key=len))))
    return _flat(taken), _flat(rest)


def _flat(groups: Sequence[Sequence[Pair]]) -> list[Pair]:
    return [pair for group in groups for pair in group]
