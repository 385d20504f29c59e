import shutil

import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.camvid import CLASSES, ORIGINAL
from segray.data.splits.division import divide
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX

COLORS = [(0, 0, 0), *(color for color, _ in ORIGINAL.values())]


@pytest.fixture
def segnet(tmp_path):
    write_scenes("camvid", tmp_path / "segnet", train=3, val=2, test=2, size_px=(32, 48))
    return tmp_path / "segnet"


def write_frames(photos, labels, stems):
    """Photos, and label files that hold each original colour once."""
    mask = Image.fromarray(np.array([COLORS], np.uint8))
    for stem in stems:
        for path, image in ((photos / f"{stem}.png", mask), (labels / f"{stem}_L.png", mask)):
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)


@pytest.fixture
def original(tmp_path):
    root = tmp_path / "original"
    stems = [f"0001TP_{6690 + 30 * number:06d}" for number in range(12)] + ["Seq05VD_f00000"]
    write_frames(root / "701_StillsRaw_full", root / "LabeledApproved_full", stems)
    return root


@pytest.fixture
def kaggle(tmp_path):
    root = tmp_path / "kaggle"
    for split in ("train", "val", "test"):
        write_frames(root / split, root / f"{split}_labels", ["0001TP_006690"])
    (root / "class_dict.csv").write_text("name,r,g,b\nVoid,0,0,0\n")
    return root


def opened(root, **changes):
    return open_dataset(DataConfig(dataset="camvid", root=str(root), **changes))


def first_label(dataset):
    return dataset.reader.read(dataset.pairs()[0])[1]


def test_the_tables_fit():
    assert len(ORIGINAL) == 31
    assert len(set(COLORS)) == 32
    assert {group for _, group in ORIGINAL.values()} == set(CLASSES)


def test_segnets_form_has_its_splits_and_prefixed_names(segnet):
    dataset = opened(segnet)
    assert {split: len(pairs) for split, pairs in dataset.official.items()} == {"train": 3, "val": 2, "test": 2}
    assert dataset.official["train"][0].name == "train/0001TP_006690"
    assert dataset.label_space.names == tuple(CLASSES)


def test_segnets_form_may_have_jpeg_photos_and_no_test_split(segnet):
    for folder in ("test", "testannot"):
        shutil.rmtree(segnet / folder)
    for path in [*segnet.glob("train/*.png"), *segnet.glob("val/*.png")]:
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    dataset = opened(segnet)
    assert dataset.official.keys() == {"train", "val"}
    assert dataset.reader.read(dataset.pairs()[0])[0].shape == (32, 48, 3)


def test_test_photos_without_labels_are_unlabelled(segnet):
    shutil.rmtree(segnet / "testannot")
    assert [path.name for path in opened(segnet).unlabelled] == ["Seq05VD_f00000.png", "Seq05VD_f00030.png"]


def test_segnets_form_has_no_original_classes(segnet):
    with pytest.raises(ConfigError, match="has SegNet's form, whose label files hold ids of the 11 classes"):
        opened(segnet, classes="original")


def test_of_several_forms_the_original_classes_take_the_one_in_colors(segnet, original):
    shutil.copytree(original, segnet, dirs_exist_ok=True)
    assert opened(segnet).label_space.names == tuple(CLASSES)
    assert opened(segnet).official["train"][0].name == "train/0001TP_006690"
    assert first_label(opened(segnet, classes="original")).tolist() == [[IGNORE_INDEX, *range(31)]]


def test_the_original_form_gives_31_classes_and_void(original):
    dataset = opened(original, classes="original")
    assert dataset.label_space.names == tuple(ORIGINAL)
    assert first_label(dataset).tolist() == [[IGNORE_INDEX, *range(31)]]


def test_the_original_form_groups_into_segnets_classes(original):
    dataset = opened(original)
    names = [dataset.label_space.names[train_id] for train_id in first_label(dataset)[0, 1:]]
    assert names == [group for _, group in ORIGINAL.values()]
    assert first_label(dataset)[0, 0] == IGNORE_INDEX


def test_the_original_form_is_undivided_and_its_names_are_the_photos(original):
    dataset = opened(original)
    assert not dataset.official
    assert dataset.undivided[0].name == "0001TP_006690"


def test_frames_of_ten_seconds_stay_together(original):
    sequences = {pair.name: pair.sequence for pair in opened(original).pairs()}
    assert sequences["0001TP_006690"] == sequences["0001TP_006870"] != sequences["0001TP_006900"]
    assert "Seq05VD_f#0" in sequences.values()


def test_the_original_form_divides_by_whole_stretches(original):
    config = DataConfig(dataset="camvid", root=str(original))
    splits = divide(open_dataset(config), config)
    stretches = [{pair.sequence for pair in pairs} for pairs in splits.values()]
    assert sum(map(len, stretches)) == len(set.union(*stretches)) == 3


@pytest.mark.parametrize("classes", ["segnet", "original"])
def test_kaggles_form_has_its_splits(kaggle, classes):
    dataset = opened(kaggle, classes=classes)
    assert [pair.name for pair in dataset.pairs()] == [f"{split}/0001TP_006690" for split in ("train", "val", "test")]
    assert first_label(dataset).shape == (1, 32)


def test_a_color_that_is_no_class_names_the_file(original):
    dataset = opened(original)
    Image.new("RGB", (32, 1), (26, 26, 26)).save(dataset.pairs()[0].label)
    with pytest.raises(DataError, match=r"0001TP_006690_L\.png: .*\(26, 26, 26\)"):
        first_label(dataset)


def test_the_damaged_image_can_be_excluded(original):
    assert "Seq05VD_f00000" not in [pair.name for pair in opened(original, exclude=("Seq05VD_f00000",)).pairs()]


def test_forms_decode_under_keys_of_their_own(segnet, original):
    readers = [opened(segnet).reader, opened(original).reader, opened(original, classes="original").reader]
    assert len({reader.key for reader in readers}) == 3


@pytest.mark.parametrize("form", ["segnet", "original", "kaggle"])
def test_a_root_that_is_too_high_names_the_folder_to_take(form, request):
    root = request.getfixturevalue(form)
    with pytest.raises(DataError, match=rf"one level below does; set data\.root to '{root}'"):
        opened(root.parent)


def test_a_root_of_no_form_names_all_forms(tmp_path):
    with pytest.raises(DataError, match="train and trainannot, or train and train_labels, or 701_StillsRaw_full and"):
        opened(tmp_path)


def test_a_missing_part_of_the_original_form_is_named(original):
    shutil.rmtree(original / "701_StillsRaw_full")
    with pytest.raises(DataError, match="lacks 701_StillsRaw_full"):
        opened(original)


def test_an_unknown_class_list_is_refused(segnet):
    with pytest.raises(ConfigError, match=r"unknown class list of camvid in data\.classes 'segnat'; .*'segnet'"):
        opened(segnet, classes="segnat")
