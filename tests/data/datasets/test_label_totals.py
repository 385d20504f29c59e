"""Labels that are fine one by one, but with which nothing can be told apart: the check and training refuse the same."""

import numpy as np
import pytest
from PIL import Image

from segray.config import RunConfig
from segray.data.datasets import open_dataset
from segray.data.preparation import prepare
from segray.data.tools.check import check
from segray.errors import ConfigError, DataError

SIZE = (12, 16)


@pytest.fixture
def config(tmp_path):
    """Writes a `folder` data set with one label for each list of ids, and returns its config."""

    def write(train, val, classes=("background", "road"), **values):
        for split, labels in (("train", train), ("val", val)):
            for index, ids in enumerate(labels):
                photo = np.random.default_rng((len(split), index)).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
                label = np.resize(np.array(ids, np.uint8), SIZE)
                for kind, array in (("images", photo), ("labels", label)):
                    path = tmp_path / "data" / kind / split / f"{index}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(path)
        values = {
            "data.dataset": "folder",
            "data.root": str(tmp_path / "data"),
            "data.cache_dir": str(tmp_path / "cache"),
            "data.folder.classes": list(classes),
            **values,
        }
        return RunConfig().with_values(values).data

    return write


def silently(config):
    return prepare(config, lambda line: None)


def refusal(config):
    """The problems of the check, which are those that training refuses."""
    with pytest.raises(DataError) as error:
        silently(config)
    assert check(config).problems == list(error.value.problems)
    return error.value.problems


def test_two_classes_are_enough(config):
    two = config([[0, 1], [0]], [[0, 1]])
    assert check(two).problems == []
    assert silently(two).train.class_pixels.tolist() == [288, 96]


def test_labels_of_one_class_and_void_are_refused_with_what_to_set(config):
    masks = config([[0, 255], [0]], [[0, 255]])
    (problem,) = refusal(masks)
    assert problem.startswith("all labels together hold only background and void (255), but must hold at least 2 ")
    assert "if 255 is road: --set 'data.folder.class_ids=[0, 255]' --set 'data.folder.void_ids=[]'" in problem
    values = {"data.folder.class_ids": [0, 255], "data.folder.void_ids": []}
    mended = config([[0, 255], [0]], [[0, 255]], **values)
    assert check(mended).problems == []
    assert silently(mended).train.class_pixels.tolist() == [288, 96]


def test_a_cache_that_was_filled_before_is_refused_too(config):
    masks = config([[0, 255]], [[0, 255]])
    first = refusal(masks)
    assert refusal(masks) == first


@pytest.mark.parametrize(
    ("labels", "held"), [([[1]], "road"), ([[255]], "void (255)"), ([[1, 7]], "road and void"), ([[7]], "void")]
)
def test_one_class_of_any_kind_or_none_is_refused(config, labels, held):
    values = {"data.folder.void_ids": [7, 255]} if "void (" not in held else {}
    found = [p for p in check(config(labels, labels, **values)).problems if "together hold only" in p]
    assert [problem.split(",")[0] for problem in found] == [f"all labels together hold only {held}"]
    with pytest.raises(DataError, match="all labels together hold only"):
        silently(config(labels, labels, **values))


@pytest.mark.parametrize(("train", "val", "split"), [([[0]], [[0, 1]], "train"), ([[0, 1]], [[1, 255]], "val")])
def test_a_side_of_the_split_with_one_class_is_refused(config, train, val, split):
    (problem,) = refusal(config(train, val))
    assert problem.startswith(f"the labels of {split} together hold only")


def test_a_single_class_is_refused(config):
    one = config([[0, 255]], [[0, 255]], classes=["road"])
    for look in (check, silently, open_dataset):
        with pytest.raises(ConfigError, match=r"at least 2 classes, but has only 'road'.* \[background, road\]"):
            look(one)
