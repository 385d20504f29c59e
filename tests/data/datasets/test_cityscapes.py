import shutil

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import Cityscapes as Reference

from segray.config import CityscapesConfig, DataConfig, SplitConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.cityscapes import CATEGORIES, CLASS_LISTS, LABELS, PALETTE, label_space, sequence_of
from segray.data.preparation import prepare
from segray.data.splits.division import divide
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX

SIZE = (32, 48)


def write_coarse(root, split, names, value=7):
    """Coarse labels of names, and photos where there are none, with one label id everywhere."""
    for name in names:
        city = name.split("_")[0]
        photo = root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
        label = root / "gtCoarse" / split / city / f"{name}_gtCoarse_labelIds.png"
        for path in (photo, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        if not photo.exists():
            Image.new("RGB", SIZE[::-1]).save(photo)
        ids = np.full(SIZE, value, np.uint8)
        ids[0] = 23
        Image.fromarray(ids).save(label)


@pytest.fixture
def root(tmp_path):
    """Fine labels, coarse ones of the same photos, and train_extra."""
    root = tmp_path / "root"
    write_scenes("cityscapes", root, train=6, val=3, test=2, size_px=SIZE)
    for split in ("train", "val"):
        write_coarse(root, split, [pair.name for pair in dataset(root).official[split]])
    write_coarse(root, "train_extra", ["troisdorf_000000_000073", "troisdorf_000000_000093"])
    return root


def config(root, labels="fine", **values):
    return DataConfig(root=str(root), cityscapes=CityscapesConfig(labels=labels), **values)


def dataset(root, labels="fine", **values):
    return open_dataset(config(root, labels, **values))


def label_folders(root, labels):
    official = dataset(root, labels).official
    return {
        split: sorted({str(pair.label.parent.parent.relative_to(root)) for pair in pairs})
        for split, pairs in official.items()
    }


def first_label(root):
    return dataset(root).official["train"][0].label


def decode(root, classes="train_ids"):
    data = dataset(root, classes=classes)
    return data.reader.read(data.official["train"][0])[1]


def test_categories_equal_torchvisions():
    reference = {c.id: c.category for c in Reference.classes if c.id >= 0}
    assert {label_id: name for name, ids in CATEGORIES.items() for label_id in ids} == reference
    numbers = {c.category: c.category_id for c in Reference.classes}
    assert [numbers[name] for name in CATEGORIES] == list(range(8))


@pytest.mark.parametrize(("classes", "count"), [("train_ids", 19), ("label_ids", 34), ("categories", 8)])
def test_class_lists_have_unique_names_and_colors(classes, count):
    space = label_space(classes)
    assert space.num_classes == len(set(space.names)) == len(set(space.colors)) == count


def test_only_train_ids_have_void():
    void = {classes: IGNORE_INDEX in label_space(classes).raw_to_train.values() for classes in CLASS_LISTS}
    assert void == {"train_ids": True, "label_ids": False, "categories": False}


def test_colors_of_label_ids_are_official_where_these_are_unique():
    official = [color for _, _, _, color in LABELS]
    shifted = [
        name
        for color, name in zip(official, label_space("label_ids").names, strict=True)
        if color != label_space("label_ids").colors[label_space("label_ids").names.index(name)]
    ]
    assert shifted == ["ego vehicle", "rectification border", "out of roi", "static", "polegroup"]


def test_the_palette_is_the_official_one():
    reference = {c.id: c.color for c in Reference.classes if c.id >= 0}
    assert {label_id: tuple(PALETTE[label_id]) for label_id in range(34)} == reference
    assert not PALETTE[34:].any()


@pytest.mark.parametrize("classes", CLASS_LISTS)
def test_labels_decode_to_the_chosen_classes(root, classes):
    space = label_space(classes)
    raw = np.asarray(Image.open(first_label(root)))
    expected = np.vectorize(space.raw_to_train.get)(raw)
    assert (decode(root, classes) == expected).all()


def test_an_unknown_class_list_is_refused(root):
    with pytest.raises(ConfigError, match=r"'category'; did you mean 'categories'"):
        dataset(root, classes="category")


@pytest.mark.parametrize(
    ("labels", "folders"),
    [
        ("fine", {"train": ["gtFine/train"], "val": ["gtFine/val"]}),
        ("coarse", {"train": ["gtCoarse/train"], "val": ["gtFine/val"]}),
        ("fine+extra", {"train": ["gtCoarse/train_extra", "gtFine/train"], "val": ["gtFine/val"]}),
        ("coarse+extra", {"train": ["gtCoarse/train", "gtCoarse/train_extra"], "val": ["gtFine/val"]}),
    ],
)
def test_training_labels_come_from_the_chosen_folders(root, labels, folders):
    assert label_folders(root, labels) == folders


def test_coarse_labels_validate_where_there_are_no_fine_ones(root):
    shutil.rmtree(root / "gtFine")
    assert label_folders(root, "coarse") == {"train": ["gtCoarse/train"], "val": ["gtCoarse/val"]}


def test_coarse_and_extra_labels_decode(root, tmp_path):
    data = prepare(config(root, "coarse+extra", cache_dir=str(tmp_path / "cache")), announce=lambda line: None)
    assert len(data.train) == 8
    assert data.train.class_pixels.nonzero()[0].tolist() == [0, 10]


def test_a_damaged_extra_photo_can_be_left_out(root):
    data = dataset(root, "fine+extra", exclude=("troisdorf_000000_000073",))
    assert "troisdorf_000000_000073" not in {pair.name for pair in data.pairs()}
    assert len(data.official["train"]) == 7


@pytest.mark.parametrize("labels", ["coarse", "fine+extra"])
def test_missing_coarse_labels_are_named(root, labels):
    shutil.rmtree(root / "gtCoarse")
    with pytest.raises(DataError, match="lacks gtCoarse; there are gtFine, leftImg8bit"):
        dataset(root, labels)


def test_a_root_one_level_off_is_told_the_right_one(root):
    with pytest.raises(DataError, match=f"one level above does; set data.root to '{root}'"):
        dataset(root / "leftImg8bit")


def test_a_missing_validation_split_is_named(root):
    shutil.rmtree(root / "gtFine/val")
    with pytest.raises(DataError, match=r"gtFine/val' does not exist"):
        dataset(root)


def test_test_photos_have_no_labels_even_where_there_are_dummies(root):
    photos = [path.name for path in dataset(root).unlabelled]
    write_coarse(root, "test", ["glenville_000000_000019"], value=0)
    (root / "gtCoarse/test").rename(root / "gtFine/test")
    assert [path.name for path in dataset(root).unlabelled] == photos
    assert len(photos) == 2
    assert "test" not in dataset(root).official


def test_the_test_split_may_be_missing(root):
    shutil.rmtree(root / "leftImg8bit/test")
    assert list(dataset(root).unlabelled) == []


def test_files_of_training_ids_beside_the_labels_are_left_alone(root):
    label = first_label(root)
    shutil.copy(label, label.with_name(label.name.replace("labelIds", "labelTrainIds")))
    assert len(dataset(root).official["train"]) == 6


def test_training_ids_in_place_of_label_ids_are_recognised(root):
    Image.fromarray(np.full(SIZE, 255, np.uint8)).save(first_label(root))
    with pytest.raises(DataError, match="255; 255 is void in training ids, but label ids are expected"):
        decode(root)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_mask_of_colours_is_recognised(root, mode):
    Image.new(mode, SIZE[::-1]).save(first_label(root))
    with pytest.raises(DataError, match=f"its mode is {mode}, which is a mask of colours"):
        decode(root)


def test_a_palette_of_other_ids_is_recognised(root):
    image = Image.new("P", SIZE[::-1], 40)
    image.putpalette([1, 2, 3] * 256)
    image.save(first_label(root))
    with pytest.raises(DataError, match="40; a palette PNG counts by its indices, or by"):
        decode(root)


def test_capital_extensions_are_read(root):
    for path in [*root.rglob("*_leftImg8bit.png")]:
        path.rename(path.with_suffix(".PNG"))
    assert len(dataset(root).official["train"]) == 6


def test_a_city_that_links_to_itself_is_named(root):
    loop = root / "gtFine/train/loop"
    loop.symlink_to(loop)
    with pytest.raises(DataError, match=f"{loop}: Too many levels of symbolic links"):
        dataset(root)


@pytest.mark.parametrize(
    ("stem", "sequence"),
    [
        ("hamburg_000000_103367", "hamburg_000000"),
        ("bad-honnef_000012_000000", "bad-honnef_000012"),
        ("aachen_000140", ""),
        ("00005", ""),
    ],
)
def test_city_and_sequence_of_a_name(stem, sequence):
    assert sequence_of(stem) == sequence


def test_a_sequence_stays_on_one_side(root):
    for frame in range(20, 24):
        write_coarse(root, "train", [f"ashford_000000_{frame:06d}"])
    splits = divide(dataset(root, "coarse"), DataConfig(split=SplitConfig(kind="ratio", sizes=(0.5, 0.5, 0))))
    sides = [split for split, pairs in splits.items() for pair in pairs if pair.sequence == "ashford_000000"]
    assert len(sides) == 5
    assert len(set(sides)) == 1
