import shutil

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import Cityscapes as Reference

from segray.config import DataConfig, SplitConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.train_a import CLASS_LISTS, GROUPS, label_space
from segray.data.splits.division import divide
from segray.data.synthetic import write_scenes
from segray.errors import DataError

SIZE = (32, 48)


@pytest.fixture
def root(tmp_path):
    write_scenes("trainA", tmp_path / "root", train=7, val=3, test=2, size_px=SIZE)
    return tmp_path / "root"


def config(root, **values):
    return DataConfig(dataset="trainA", root=str(root), **values)


def split_names(root, **values):
    splits = divide(open_dataset(config(root)), config(root, **values))
    return {split: [pair.name for pair in pairs] for split, pairs in splits.items()}


def decode_first(root, classes):
    dataset = open_dataset(config(root, classes=classes))
    return dataset.reader.read(dataset.pairs()[0])[1]


def relabel(root, values):
    """Write the label values over the first file, in columns."""
    path = sorted((root / "trainA_seg_class").iterdir())[0]
    Image.fromarray(np.tile(np.array(values, np.uint8), (SIZE[0], SIZE[1] // len(values)))).save(path)


def test_all_34_label_ids_are_the_default():
    reference = tuple(c.name for c in Reference.classes if c.id >= 0)
    assert label_space().names == reference


@pytest.mark.parametrize(("classes", "count"), [*zip(CLASS_LISTS, (34, 19, 8, 8), strict=True)])
def test_class_lists_have_unique_names_and_colors(classes, count):
    space = label_space(classes)
    assert space.num_classes == len(set(space.names)) == len(set(space.colors)) == count


def test_the_test_folder_is_kept_for_the_end_and_validation_is_drawn_from_the_rest(root):
    names = split_names(root)
    assert {split: len(part) for split, part in names.items()} == {"train": 8, "val": 2, "test": 2}
    assert all(name.startswith("testA/") for name in names["test"])
    assert all(name.startswith("trainA/") for name in names["train"] + names["val"])


def test_which_images_validate_follows_the_seed(root):
    drawn = {tuple(split_names(root, split=SplitConfig(seed=seed))["val"]) for seed in range(5)}
    assert len(drawn) > 1


def test_without_a_test_folder_all_images_are_divided(root):
    for folder in root.glob("testA*"):
        shutil.rmtree(folder)
    dataset = open_dataset(config(root))
    assert not dataset.official
    assert len(dataset.undivided) == 10


def test_test_photos_without_labels_are_unlabelled(root):
    shutil.rmtree(root / "testA_seg_class")
    dataset = open_dataset(config(root))
    assert [path.name for path in dataset.unlabelled] == ["glenville_000000.png", "glenville_000001.png"]
    assert len(dataset.undivided) == 10


def test_colors_are_not_needed(root):
    shutil.rmtree(root / "trainA_seg")
    assert len(open_dataset(config(root)).pairs()) == 12


def test_the_same_name_may_be_in_both_parts(root):
    for kind in ("", "_seg_class"):
        shutil.copy(root / f"trainA{kind}/ashford_000000.png", root / f"testA{kind}")
    names = [pair.name for pair in open_dataset(config(root)).pairs()]
    assert {"trainA/ashford_000000", "testA/ashford_000000"} <= set(names)
    assert len(set(names)) == 13


@pytest.mark.parametrize(
    ("stem", "sequence"),
    [("hamburg_000000_103367", "hamburg_000000"), ("aachen_000140", "aachen_000140"), ("00075", "block 1")],
)
def test_names_of_cityscapes_and_gta5_tell_their_sequence(root, stem, sequence):
    for kind in ("", "_seg_class"):
        shutil.copy(root / f"trainA{kind}/ashford_000000.png", root / f"trainA{kind}" / f"{stem}.png")
    by_name = {pair.name: pair.sequence for pair in open_dataset(config(root)).pairs()}
    assert by_name[f"trainA/{stem}"] == sequence


@pytest.mark.parametrize(
    ("classes", "expected"),
    [("label_ids", [7, 0, 26]), ("train_ids", [0, 255, 13]), ("categories", [1, 0, 7])],
)
def test_label_ids_decode_to_the_chosen_classes(root, classes, expected):
    relabel(root, [7, 0, 26])
    assert decode_first(root, classes)[0, :3].tolist() == expected


def test_files_of_groups_decode_to_groups(root):
    relabel(root, [0, 4, 7])
    assert [tuple(GROUPS)[index] for index in decode_first(root, "groups")[0, :3]] == ["others", "roads", "tree"]


def test_label_ids_where_groups_are_expected_are_recognised(root):
    relabel(root, [7, 8, 26])
    with pytest.raises(DataError, match=r"8, 26; groups has ids 0 to 7; for label ids set data\.classes"):
        decode_first(root, "groups")


def test_training_ids_are_recognised(root):
    relabel(root, [0, 255])
    with pytest.raises(DataError, match="255; 255 is void in training ids, but label ids are expected"):
        decode_first(root, "label_ids")


def test_a_root_one_level_off_is_told_the_right_one(root):
    with pytest.raises(DataError, match=f"one level above does; set data.root to '{root}'"):
        open_dataset(config(root / "trainA"))
