from dataclasses import replace
from pathlib import Path

import pytest

from segray.config import DataConfig, SplitConfig
from segray.data.datasets.dataset import Dataset
from segray.data.files.pair import Pair
from segray.data.splits.division import divide
from segray.errors import ConfigError, DataError
from segray.labels import LabelSpace

SPACE = LabelSpace(names=("road", "sky"), colors=((128, 64, 128), (70, 130, 180)))


def pairs(count, prefix="image", sequence_length=0):
    names = [f"{prefix}{index:03d}" for index in range(count)]
    return [
        Pair(name, Path(name), Path(name), f"{prefix}-{index // sequence_length}" if sequence_length else "")
        for index, name in enumerate(names)
    ]


def undivided(images, **changes):
    return Dataset(label_space=SPACE, reader=None, official={}, undivided=images, **changes)


def official(train=20, val=5, test=0):
    parts = {"train": pairs(train, "train"), "val": pairs(val, "val"), "test": pairs(test, "test")}
    return Dataset(label_space=SPACE, reader=None, official={split: part for split, part in parts.items() if part})


def config(holdout=0.0, **split):
    return DataConfig(holdout=holdout, split=SplitConfig(**split))


def names(dataset, config):
    return {split: [pair.name for pair in part] for split, part in divide(dataset, config).items()}


def counts(dataset, config):
    return tuple(len(part) for part in divide(dataset, config).values())


def test_an_official_split_is_kept():
    assert counts(official(), config()) == (20, 5, 0)


def test_without_official_validation_it_takes_its_share_of_training_by_seed():
    dataset = replace(official(20, 0, 7), split_sizes=(0.75, 0.25, 0))
    splits = names(dataset, config())
    assert {split: len(part) for split, part in splits.items()} == {"train": 15, "val": 5, "test": 7}
    assert all(name.startswith("test") for name in splits["test"])
    assert names(dataset, config(seed=1))["val"] != splits["val"] != [f"train{index:03d}" for index in range(5)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((0.64, 0.16, 0.2), (64, 16, 20)),
        ((0.8, 0.2, 0), (80, 20, 0)),
        ((60, 20, 20), (60, 20, 20)),
        ((5, 2, 1), (5, 2, 1)),
    ],
)
def test_ratio_gives_the_sizes_asked_for(sizes, expected):
    assert counts(undivided(pairs(100)), config(sizes=sizes)) == expected


def test_the_data_set_has_sizes_of_its_own():
    assert counts(undivided(pairs(100), split_sizes=(0.5, 0.25, 0.25)), config()) == (50, 25, 25)


@pytest.mark.parametrize("kind", ["ratio", "kfold"])
def test_every_image_is_on_one_side(kind):
    splits = names(undivided(pairs(23)), config(kind=kind))
    assert sorted(name for part in splits.values() for name in part) == [pair.name for pair in pairs(23)]


def test_the_split_follows_its_seed_not_the_file_order():
    first = names(undivided(pairs(20)), config())["val"]
    assert names(undivided(pairs(20)[::-1]), config())["val"] == first
    assert names(undivided(pairs(20)), config(seed=1))["val"] != first
    assert first not in ([f"image{i:03d}" for i in range(4)], [f"image{i:03d}" for i in range(16, 20)])


def test_a_new_image_moves_few_of_the_others():
    before, after = (set(names(undivided(pairs(count)), config())["val"]) for count in (20, 21))
    assert len(before & after) >= 3


@pytest.mark.parametrize("kind", ["ratio", "kfold"])
def test_sequences_are_not_divided(kind):
    splits = divide(undivided(pairs(60, sequence_length=6)), config(kind=kind, sizes=(0.6, 0.2, 0.2)))
    sides = [{pair.sequence for pair in part} for part in splits.values()]
    assert len(set.union(*sides)) == sum(map(len, sides)) == 10


def test_every_image_validates_in_one_fold():
    folds = [names(undivided(pairs(23)), config(kind="kfold", fold=fold))["val"] for fold in range(5)]
    assert sorted(map(len, folds)) == [4, 4, 5, 5, 5]
    assert sorted(name for fold in folds for name in fold) == [pair.name for pair in pairs(23)]


def test_folds_leave_an_official_test_split_alone():
    splits = names(official(20, 5, 7), config(kind="kfold"))
    assert all(name.startswith("test") for name in splits["test"])
    assert (len(splits["train"]), len(splits["val"]), len(splits["test"])) == (20, 5, 7)


def test_a_holdout_comes_out_of_the_training_images():
    splits = names(official(), config(holdout=0.25))
    assert (len(splits["train"]), len(splits["val"]), len(splits["test"])) == (15, 5, 5)
    assert all(name.startswith("train") for name in splits["test"])


def test_all_folds_hold_out_the_same_images():
    folds = [names(undivided(pairs(30)), config(holdout=0.2, kind="kfold", folds=3, fold=fold)) for fold in range(3)]
    assert folds[0]["test"] == folds[1]["test"] == folds[2]["test"]
    assert len(folds[0]["test"]) == 6
    assert not {name for fold in folds for name in fold["val"]} & set(folds[0]["test"])


def test_a_name_that_occurs_in_two_splits_is_refused():
    with pytest.raises(DataError, match=r"must occur once in a data set(?s:.*)image001") as caught:
        Dataset(label_space=SPACE, reader=None, official={"train": pairs(3), "val": pairs(2)})
    assert len(caught.value.problems) == 2


def test_one_sequence_cannot_be_divided_and_the_error_says_so():
    with pytest.raises(DataError, match="the 20 images are from 1 sequence, and a sequence stays on one side"):
        divide(undivided(pairs(20, sequence_length=20)), config())


@pytest.mark.parametrize(
    ("dataset", "changes", "error", "message"),
    [
        (undivided(pairs(5)), {"kind": "official"}, ConfigError, "needs a data set that comes divided"),
        (undivided(pairs(1)), {}, DataError, "0 val|must have an image"),
        (undivided(pairs(5)), {"sizes": (0.5, 0.2, 0.2)}, ConfigError, "shares of train, val and test that sum to 1"),
        (undivided(pairs(5)), {"sizes": (4, 1, 1)}, ConfigError, r"at most the 5 labelled images"),
        (undivided(pairs(5)), {"kind": "kfold", "fold": 5}, ConfigError, r"below data\.split\.folds, 5, but got 5"),
        (
            official(20, 5, 3),
            {"holdout": 0.1},
            ConfigError,
            r"data\.holdout must be 0 if .* has a test split",
        ),
    ],
)
def test_a_split_that_cannot_work_is_refused(dataset, changes, error, message):
    with pytest.raises(error, match=message):
        divide(dataset, config(**changes))


@pytest.mark.parametrize(
    "dataset", [official(train=6, val=3, test=2), undivided(pairs(20, sequence_length=2))], ids=["official", "ratio"]
)
@pytest.mark.parametrize("holdout", [0.0, 0.2])
def test_all_data_adds_validation_to_training_and_never_a_test_image(dataset, holdout):
    if dataset.official and holdout:
        dataset = official(train=6, val=3)
    asked = DataConfig(holdout=holdout, split=SplitConfig(sizes=(0.8, 0.2, 0.0) if holdout else None))
    apart, together = names(dataset, asked), names(dataset, asked.model_copy(update={"all_data": True}))
    assert together["train"] == sorted(apart["train"] + apart["val"])
    assert (together["val"], together["test"]) == (apart["val"], apart["test"])
    assert not {*together["train"]} & {*together["test"]}
    assert not {*apart["train"]} & {*apart["val"]}
