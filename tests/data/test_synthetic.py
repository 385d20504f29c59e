import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.cityscapes import LABELS
from segray.data.preparation import prepare
from segray.data.scenes import draw_scene
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError

SHOWN = {"road", "sidewalk", "building", "pole", "traffic sign", "vegetation", "terrain", "sky", "person", "car"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes") / "city"
    write_scenes("cityscapes", root, train=12, val=4, size_px=(64, 128), seed=3)
    return root


def test_scenes_have_the_official_layout(root):
    photo = root / "leftImg8bit/train/ashford/ashford_000000_000019_leftImg8bit.png"
    assert photo.is_file()
    assert (root / "gtFine/train/ashford/ashford_000000_000019_gtFine_labelIds.png").is_file()
    assert (root / "gtFine/train/ashford/ashford_000000_000019_gtFine_color.png").is_file()
    dataset = open_dataset(DataConfig(root=str(root)))
    assert {split: len(pairs) for split, pairs in dataset.official.items()} == {"train": 12, "val": 4}


def test_scenes_load_as_cityscapes_and_show_their_classes(root, tmp_path):
    prepared = prepare(DataConfig(root=str(root), cache_dir=str(tmp_path)), announce=lambda line: None)
    counts = prepared.train.class_pixels
    shown = {name for name, count in zip(prepared.label_space.names, counts, strict=True) if count}
    assert shown == SHOWN
    assert counts.sum() < prepared.train.sizes.prod(axis=1).sum()  # the rest is void


def test_colors_are_the_official_ones_of_the_label_ids(root):
    label = next(root.glob("gtFine/val/*/*_labelIds.png"))
    ids = np.asarray(Image.open(label))
    colors = np.asarray(Image.open(str(label).replace("labelIds", "color")))
    palette = {label_id: color for label_id, _, _, color in LABELS}
    for label_id in np.unique(ids).tolist():
        assert (colors[ids == label_id] == palette[label_id]).all()


def test_the_same_seed_writes_the_same_files(root, tmp_path):
    again = tmp_path / "again"
    write_scenes("cityscapes", again, train=12, val=4, size_px=(64, 128), seed=3)
    files = sorted(path.relative_to(root) for path in root.rglob("*.png"))
    assert files == sorted(path.relative_to(again) for path in again.rglob("*.png"))
    assert all((root / name).read_bytes() == (again / name).read_bytes() for name in files)


def test_every_scene_is_another(root):
    photos = {path.read_bytes() for path in root.glob("leftImg8bit/*/*/*.png")}
    assert len(photos) == 16


def test_small_things_are_common_at_the_demo_size():
    ids = {name: label_id for label_id, name, _, _ in LABELS}
    labels = np.stack([draw_scene(np.random.default_rng(seed), (128, 256))[1] for seed in range(20)])
    for name in ("pole", "traffic sign", "person"):
        assert (labels == ids[name]).mean() > 0.005
        assert (labels == ids[name]).any(axis=(1, 2)).mean() > 0.8


def test_an_existing_folder_is_refused(root):
    with pytest.raises(DataError, match="exists; remove it or name another"):
        write_scenes("cityscapes", root, train=1, val=1)


@pytest.mark.parametrize("numbers", [{"train": 0, "val": 1}, {"train": 1, "val": 1, "size_px": (16, 64)}])
def test_numbers_too_small_are_refused(tmp_path, numbers):
    with pytest.raises(ConfigError, match="train >= 1, val >= 1, test >= 0 and size_px >= 32"):
        write_scenes("cityscapes", tmp_path / "new", **numbers)


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def interrupted(rng, size_px):
        calls.append(size_px)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw_scene(rng, size_px)

    monkeypatch.setattr("segray.data.synthetic.draw_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_scenes("cityscapes", tmp_path / "new", train=4, val=1, size_px=(32, 64))
    assert list(tmp_path.iterdir()) == []
