import shutil

import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig, SplitConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.carla import CLASSES, IDS, RedChannelIds, label_space, sequence
from segray.data.files.pair import Pair
from segray.data.splits.division import divide
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError

IDENTITY = {raw: raw for raw in range(13)}


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory):
    root = tmp_path_factory.mktemp("carla") / "archive"
    write_scenes("carla", root, train=6, val=2, test=2, size_px=(32, 48))
    return root


def config(root, **changes):
    return DataConfig(dataset="carla", root=str(root), **changes)


def names(root):
    return [pair.name for pair in open_dataset(config(root)).pairs()]


def save_label(path, red, mode="RGB", channel=0):
    channels = np.zeros((*np.shape(red), len(mode)), np.uint8)
    channels[..., 3:] = 255
    channels[..., channel] = red
    Image.fromarray(channels).save(path)
    return path


def test_kaggles_nested_folders_give_their_names(kaggle):
    assert names(kaggle)[:2] == ["dataA/02_00_000", "dataA/02_00_001"]
    assert {name.split("/")[0] for name in names(kaggle)} == {"dataA", "dataB", "dataC", "dataD", "dataE"}


def test_folders_may_be_nested_once(kaggle, tmp_path):
    for folder in ("dataA", "dataB"):
        shutil.copytree(kaggle / folder / folder, tmp_path / folder)
    assert names(tmp_path) == [name for name in names(kaggle) if name[:5] in ("dataA", "dataB")]


@pytest.mark.parametrize("below", ["", "Train"])
def test_the_challenges_own_layout_is_read(kaggle, tmp_path, below):
    shutil.copytree(kaggle / "dataA/dataA", tmp_path / "root" / below)
    assert names(tmp_path / "root") == ["02_00_000", "02_00_001"]


@pytest.mark.parametrize(("below", "prefix"), [("", ""), ("Train", "Train/")])
def test_all_recordings_below_the_root_are_read_whatever_the_form(kaggle, tmp_path, below, prefix):
    shutil.copytree(kaggle / "dataA/dataA", tmp_path / below, dirs_exist_ok=True)
    shutil.copytree(kaggle / "dataB", tmp_path / "dataB")
    shutil.copytree(kaggle / "dataC/dataC", tmp_path / "dataC")
    others = [name for name in names(kaggle) if name[:5] in ("dataB", "dataC")]
    assert sorted(names(tmp_path)) == sorted([f"{prefix}02_00_000", f"{prefix}02_00_001", *others])


def test_a_recording_in_another_has_its_whole_path_as_name(kaggle, tmp_path):
    shutil.copytree(kaggle / "dataA/dataA", tmp_path / "dataA")
    shutil.copytree(kaggle / "dataA/dataA", tmp_path / "dataA/more")
    assert names(tmp_path) == [
        f"dataA/{stem}" for stem in ("02_00_000", "02_00_001", "more/02_00_000", "more/02_00_001")
    ]


def test_one_of_kaggles_folders_can_be_the_root(kaggle):
    assert names(kaggle / "dataA") == ["dataA/02_00_000", "dataA/02_00_001"]
    assert names(kaggle / "dataA/dataA") == ["02_00_000", "02_00_001"]


def test_a_root_that_is_too_high_names_the_folder_to_take(kaggle):
    with pytest.raises(DataError, match=rf"is one level too high; set data\.root to '{kaggle}'"):
        names(kaggle.parent)


def test_a_root_that_is_too_low_names_the_folder_to_take(kaggle):
    with pytest.raises(DataError, match=rf"one level above does; set data\.root to '{kaggle}/dataA/dataA'"):
        names(kaggle / "dataA/dataA/CameraRGB")


def test_missing_labels_of_several_folders_are_named_together(kaggle, tmp_path):
    shutil.copytree(kaggle, tmp_path / "root")
    for folder in ("dataA", "dataC"):
        (tmp_path / "root" / folder / folder / "CameraSeg/02_00_000.png").unlink()
    with pytest.raises(DataError, match=r"(?s)2 images without a label.*dataA/CameraRGB.*dataC/CameraRGB"):
        names(tmp_path / "root")


def test_a_folder_without_labels_is_named(kaggle, tmp_path):
    shutil.copytree(kaggle, tmp_path / "root")
    shutil.rmtree(tmp_path / "root/dataB/dataB/CameraSeg")
    with pytest.raises(DataError, match=r"dataB/dataB/CameraSeg' does not exist"):
        names(tmp_path / "root")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dataA/02_00_017", "dataA/02_00_"),
        ("dataB/F61-12", "dataB/F61-"),
        ("923", "/#18"),
        ("dataA/image_00049", "dataA/image_#0"),
        ("dataA/image_00050", "dataA/image_#1"),
        ("dataA/street", ""),
    ],
)
def test_the_drive_follows_from_folder_and_name(name, expected):
    assert sequence(name) == expected


def test_counts_of_a_split_are_met_by_whole_drives(tmp_path):
    write_scenes("carla", tmp_path / "root", train=24, val=8, test=8, size_px=(32, 48))
    chosen = config(tmp_path / "root", split=SplitConfig(sizes=(24, 8, 8)))
    splits = divide(open_dataset(chosen), chosen)
    assert [len(splits[split]) for split in ("train", "val", "test")] == [24, 8, 8]
    drives = [{pair.sequence for pair in pairs} for pairs in splits.values()]
    assert sum(map(len, drives)) == len(set.union(*drives))


def test_a_fifth_validates_and_a_fifth_is_kept_by_default(tmp_path):
    write_scenes("carla", tmp_path / "root", train=24, val=8, test=8, size_px=(32, 48))
    splits = divide(open_dataset(config(tmp_path / "root")), config(tmp_path / "root"))
    assert [len(splits[split]) for split in ("train", "val", "test")] == [24, 8, 8]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_ids_are_read_from_the_red_channel(tmp_path, mode):
    ids = np.arange(13, dtype=np.uint8).reshape(1, 13)
    path = save_label(tmp_path / "label.png", ids, mode)
    np.testing.assert_array_equal(RedChannelIds(IDENTITY, remove_bonnet=False)(path).ids, ids)


def test_the_challenge_merges_lane_markings_into_the_road(kaggle):
    raw, challenge = (open_dataset(config(kaggle, classes=classes)) for classes in ("raw", "challenge"))
    assert raw.label_space.names == tuple(CLASSES)
    assert challenge.label_space.names == tuple(name for name in CLASSES if name != "RoadLines")
    pair = raw.pairs()[0]
    before, after = raw.reader.read(pair)[1], challenge.reader.read(pair)[1]
    assert (before == raw.label_space.names.index("RoadLines")).any()
    road = challenge.label_space.names.index("Roads")
    merged = np.isin(before, [raw.label_space.names.index(name) for name in ("Roads", "RoadLines")])
    np.testing.assert_array_equal(after == road, merged)


@pytest.mark.parametrize(("height", "first_row"), [(600, 496), (300, 248), (32, 26)])
def test_the_challenge_removes_vehicles_from_the_lowest_rows_only(tmp_path, height, first_row):
    path = save_label(tmp_path / "label.png", np.full((height, 2), IDS["Vehicles"], np.uint8))
    space = label_space("challenge")
    label = RedChannelIds(space.raw_to_train, remove_bonnet=True)(path).ids
    assert (label[:first_row] == space.names.index("Vehicles")).all()
    assert (label[first_row:] == space.names.index("None")).all()


def test_raw_labels_keep_the_bonnet(tmp_path):
    path = save_label(tmp_path / "label.png", np.full((10, 2), IDS["Vehicles"], np.uint8))
    assert (RedChannelIds(IDENTITY, remove_bonnet=False)(path).ids == IDS["Vehicles"]).all()


def refused(path):
    with pytest.raises(DataError) as error:
        RedChannelIds(IDENTITY, remove_bonnet=False)(path)
    assert str(error.value).startswith(str(path))
    return str(error.value)


def test_ids_in_the_blue_channel_are_recognised(tmp_path):
    path = save_label(tmp_path / "label.png", np.full((2, 2), 7, np.uint8), channel=2)
    assert "red and blue exchanged (BGR for RGB)" in refused(path)


def test_ids_in_the_green_channel_are_refused(tmp_path):
    path = save_label(tmp_path / "label.png", np.full((2, 2), 7, np.uint8), channel=1)
    assert refused(path).endswith("must be in the red channel, but red is 0 everywhere and green is not")


def test_a_label_of_nothing_but_none_is_allowed(tmp_path):
    path = save_label(tmp_path / "label.png", np.zeros((2, 2), np.uint8))
    assert not RedChannelIds(IDENTITY, remove_bonnet=False)(path).ids.any()


def test_values_that_are_no_class_are_named(tmp_path):
    path = save_label(tmp_path / "label.png", np.array([[12, 13], [70, 0]], np.uint8))
    assert "ids from 0 to 12, but also holds 13, 70; a mask in colours" in refused(path)


def test_masks_with_one_channel_are_refused(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "label.png")
    assert "ids in the red channel, but its mode is L; " in refused(tmp_path / "label.png")


def test_a_photo_and_label_of_different_sizes_are_refused(kaggle, tmp_path):
    reader = open_dataset(config(kaggle)).reader
    photo = open_dataset(config(kaggle)).pairs()[0].photo
    with pytest.raises(DataError, match="must have its image's size"):
        reader.size(Pair("a", photo, save_label(tmp_path / "label.png", np.zeros((2, 2), np.uint8))))


def test_the_readers_key_tells_the_class_lists_apart(kaggle):
    keys = {open_dataset(config(kaggle, classes=classes)).reader.key for classes in ("raw", "challenge")}
    assert len(keys) == 2


def test_an_unknown_class_list_is_refused(kaggle):
    with pytest.raises(ConfigError, match=r"unknown class list of carla in data\.classes 'chalenge'; .* 'challenge'\?"):
        open_dataset(config(kaggle, classes="chalenge"))
