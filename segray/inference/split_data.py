"""The images that a model is evaluated on: a split of the model's own data set, or another data set's images.

Labels are read from the data set's files at their own size, not from the cache of decoded images, which may hold them
resized.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.config import DataConfig, RunConfig
from segray.data.cache.fingerprint import listing
from segray.data.datasets.dataset import SPLITS, Dataset
from segray.data.datasets.scoring import Scoring, by_classes_of_training
from segray.data.files.pair import Pair
from segray.data.preparation import with_absolute_paths
from segray.data.splits.division import divide
from segray.data.splits.split_record import check_splits
from segray.errors import ConfigError, DataError
from segray.inference.predictor import Predictor
from segray.labels import IGNORE_INDEX, LabelSpace

SplitName = Literal["train", "val", "test", "all"]
SPLIT_NAMES: Final[tuple[SplitName, ...]] = (*SPLITS, "all")


class LabelledImage(NamedTuple):
    """An image with its labels, all at the labels' own size."""

    pair: Pair
    photo: NDArray[np.uint8]
    """(height, width, 3), RGB"""
    label: NDArray[np.uint8]
    """Training ids of the model's classes, (height, width), 255 for void"""
    judged: NDArray[np.uint8]
    """Ids that predictions are judged by; the label, unless a model is judged by other classes than it is trained on"""


@dataclass(frozen=True, kw_only=True)
class SplitData:
    """Labelled images of a data set."""

    split: SplitName
    config: DataConfig
    dataset: Dataset
    pairs: tuple[Pair, ...]
    first_train: Pair | None = None
    """An image of the training split, whose size says how large training batches were without crops"""
    scoring: Scoring
    """The classes that predictions are judged by"""
    model_ids: NDArray[np.uint8] | None = None
    """The model's training id by the data set's, shape (256,); None if the data set is the model's own"""

    @property
    def is_own(self) -> bool:
        """Whether the images are of the data set that the model was trained on."""
        return self.model_ids is None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pairs)

    def images(self) -> Iterator[LabelledImage]:
        """Yield the images in order; the next one is read while the last one is used.

        Raises:
            DataError: A file cannot be used.
        """
        with ThreadPoolExecutor(max_workers=1) as reader:
            upcoming = reader.submit(self._read, self.pairs[0])
            for following in self.pairs[1:]:
                image = upcoming.result()
                upcoming = reader.submit(self._read, following)
                yield image
            yield upcoming.result()

    def _read(self, pair: Pair) -> LabelledImage:
        photo, label = self.dataset.reader.read(pair)
        if photo.shape[:2] != label.shape:
            raise DataError(
                f"{pair.label}: a label must have its image's size, but has {label.shape} and the image "
                f"{photo.shape[:2]}"
            )
        judged = self.dataset.scoring.judged_label(pair, label)
        if self.model_ids is not None:
            label = judged = self.model_ids[judged]
        return LabelledImage(pair, photo, label, judged)


def own_split(model: Predictor, split: SplitName, root: str | None, cache_dir: str | None = None) -> SplitData:
    """Return a split of the data set that a model was trained on.

    Args:
        model: The model; if it lies in a sweep, the data must give the splits that the sweep recorded.
        split: The split.
        root: The data set's folder on this machine; None for the folder in the model's config.
        cache_dir: Folder in which fits of labels are kept, used with ``root``; None for the default folder.

    Raises:
        ConfigError: The data's classes are not the model's.
        DataError: The data set cannot be read, is not the sweep's, or has no labelled image in the split.
    """
    config = with_data_at(model.config, root, cache_dir).data if root else model.config.data
    sweep = model.location.sweep if model.location else None
    splits = sweep.splits() if sweep else None
    if splits is not None:
        check_splits(splits, config)
    data = _split(config, split)
    _check_same_classes(model, data.dataset.label_space)
    return data


def other_split(model: Predictor, split: SplitName, name: str, root: str, values: Mapping[str, object]) -> SplitData:
    """Return a split of another data set with the classes of a model.

    Args:
        model: The model; its classes and the data set's are matched by name.
        split: The split.
        name: Name of the data set.
        root: The data set's folder.
        values: Dotted key of ``data`` -> value, where the data set needs more than its folder.

    Raises:
        ConfigError: The data set or a value is unknown, or its classes are not the model's.
        DataError: The data set cannot be read, or has no labelled image in the split.
    """
    asked = {**values, "data.dataset": name, "data.root": root}
    config = with_absolute_paths(RunConfig().with_values(asked).data)
    data = _split(config, split)
    return replace(
        data,
        scoring=by_classes_of_training(model.label_space),
        model_ids=_matched(model.label_space, data.scoring.label_space, name),
    )


def with_data_at(config: RunConfig, root: str, cache_dir: str | None) -> RunConfig:
    """Return the config with its data set, and its cache of decoded images, in other folders of this machine."""
    here = config.data.model_copy(update={"root": root, "cache_dir": cache_dir})
    return config.model_copy(update={"data": with_absolute_paths(here)})


def _split(config: DataConfig, split: SplitName) -> SplitData:
    dataset = listing(config).dataset
    if split == "all":
        pairs = sorted(dataset.pairs())
        return SplitData(split=split, config=config, dataset=dataset, pairs=tuple(pairs), scoring=dataset.scoring)
    divided = divide(dataset, config)
    if not divided[split]:
        raise DataError(
            f"this sweep has no {split} images: {config.dataset} must come with labelled ones, or data.split.sizes "
            "or data.holdout must keep some when a sweep starts; use --split val to repeat the validation"
        )
    return SplitData(
        split=split,
        config=config,
        dataset=dataset,
        pairs=tuple(divided[split]),
        scoring=dataset.scoring,
        first_train=divided["train"][0],
    )


def _check_same_classes(model: Predictor, found: LabelSpace) -> None:
    if found == model.label_space:
        return
    trial = model.location.trial if model.location else None
    whose = f"trial {trial.id}'s model" if trial else "the model"
    raise ConfigError(
        f"the data set must have the classes of {whose}, {', '.join(model.names)}, but has {', '.join(found.names)}; "
        "evaluate with the versions of segray and scikit-learn in sweep.json, or, if it is another data set, name it "
        "with --dataset"
    )


def _matched(wanted: LabelSpace, found: LabelSpace, name: str) -> NDArray[np.uint8]:
    """Return the training id in one space by that in another, matched by the classes' names."""
    lacking = [one for one in wanted.names if one not in found.names]
    unknown = [one for one in found.names if one not in wanted.names]
    if lacking or unknown:
        parts = [f"{name} lacks {', '.join(lacking)}"] if lacking else []
        parts += [f"the model lacks {', '.join(unknown)}"] if unknown else []
        raise ConfigError(f"the classes of {name} must have the names of the model's, but {' and '.join(parts)}")
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for train_id, class_name in enumerate(found.names):
        table[train_id] = wanted.names.index(class_name)
    return table
