import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig
from segray.data.datasets import open_dataset
from segray.data.splits.division import divide
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("kitti") / "data_road"
    write_scenes("kitti_road", root, train=6, val=3, test=3, size_px=(94, 311))
    return root


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "data_road")


def opened(root, **changes):
    return open_dataset(DataConfig(dataset="kitti_road", root=str(root), **changes))


def test_all_three_categories_are_listed_and_lane_masks_left_out(root):
    assert (root / "training/gt_image_2/um_lane_000000.png").is_file()
    pairs = opened(root).pairs()
    assert [pair.name for pair in pairs[:3]] == ["um_000000", "um_000001", "um_500000"]
    assert {pair.name.split("_")[0] for pair in pairs} == {"um", "umm", "uu"}
    assert all("_road_" in pair.label.name for pair in pairs)


def test_the_folder_above_data_road_is_accepted(root):
    assert opened(root.parent).pairs() == opened(root).pairs()


def test_a_root_that_is_too_low_names_the_folder_to_take(root):
    with pytest.raises(DataError, match=rf"one level above does; set data\.root to '{root}'"):
        opened(root / "training")


def test_test_photos_have_no_labels(root):
    assert [path.name for path in opened(root).unlabelled] == ["um_000000.png", "umm_000000.png", "uu_000000.png"]


def test_the_test_photos_may_be_missing(root):
    shutil.rmtree(root / "testing")
    assert opened(root).unlabelled == ()


def test_colors_are_not_road_and_road_and_black_is_void(root):
    dataset = opened(root)
    assert dataset.label_space.names == ("not road", "road")
    colors = np.array([[(255, 0, 0), (255, 0, 255), (0, 0, 0)]], np.uint8)
    pair = dataset.pairs()[0]
    Image.fromarray(colors).save(pair.label)
    Image.fromarray(colors).save(pair.photo)
    assert dataset.reader.read(pair)[1].tolist() == [[0, 1, IGNORE_INDEX]]


def test_drawn_masks_have_road_and_void_and_several_sizes(root):
    dataset = opened(root)
    values = {int(value) for pair in dataset.pairs() for value in np.unique(dataset.reader.read(pair)[1])}
    assert values == {0, 1, IGNORE_INDEX}
    assert len({dataset.reader.size(pair) for pair in dataset.pairs()}) > 1


def test_blurred_colors_are_refused(root):
    dataset = opened(root)
    pair = dataset.pairs()[0]
    with Image.open(pair.label) as mask:
        small = mask.resize((100, 40), Image.Resampling.BILINEAR)
    small.resize((311, 94), Image.Resampling.BILINEAR).save(pair.label)
    with pytest.raises(DataError, match=r"um_road_000000\.png: .* other colours, such as \(255, 0, \d+\)"):
        dataset.reader.read(pair)


def test_a_photo_with_only_a_lane_mask_is_explained(root):
    (root / "training/gt_image_2/um_road_000001.png").unlink()
    with pytest.raises(DataError, match=r"1 images without a label have a lane mask, such as um_lane_000001\.png"):
        opened(root)


def test_a_missing_mask_without_a_lane_mask_is_just_missing(root):
    (root / "training/gt_image_2/uu_road_000001.png").unlink()
    with pytest.raises(DataError, match=r"uu_000001\.png$"):
        opened(root)


def test_neighbouring_numbers_stay_together(root):
    for number in (9, 10):
        for kind in ("image_2/um_", "gt_image_2/um_road_"):
            shutil.copy(root / f"training/{kind}000000.png", root / f"training/{kind}{number:06d}.png")
    sequences = {pair.name: pair.sequence for pair in opened(root).pairs()}
    assert sequences["um_000000"] == sequences["um_000009"] != sequences["um_000010"]


def test_a_fifth_of_the_benchmarks_images_validates_from_every_category(root):
    config = DataConfig(dataset="kitti_road", root=str(root))
    shutil.rmtree(root / "training")
    for category, count in (("um", 95), ("umm", 96), ("uu", 98)):
        for number in range(count):
            for path in (f"image_2/{category}_{number:06d}.png", f"gt_image_2/{category}_road_{number:06d}.png"):
                (root / "training" / path).parent.mkdir(parents=True, exist_ok=True)
                (root / "training" / path).touch()
    splits = divide(open_dataset(config), config)
    assert 50 <= len(splits["val"]) <= 66
    shares = Counter(pair.name.split("_")[0] for pair in splits["val"])
    assert all(count >= 15 for count in (shares["um"], shares["umm"], shares["uu"]))


def test_an_unknown_class_list_is_refused(root):
    with pytest.raises(
        ConfigError, match=r"unknown class list of kitti_road in data\.classes 'lane'; choose from road"
    ):
        opened(root, classes="lane")
