"""Every data set, written small in its own layout, keeps the promises of `Dataset`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig, FolderConfig
from segray.data.cache import prepare
from segray.data.datasets import DATASETS, open_dataset
from segray.data.splits import divide
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX

SIZE = (24, 40)
NAMES = {"train": ("a1", "a2", "a3"), "val": ("b1", "b2")}


def write_pair(photo, label, raw_values, seed=0):
    rng = np.random.default_rng(seed)
    for path, array in (
        (photo, rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)),
        (label, rng.choice(np.array(raw_values, dtype=np.uint8), SIZE)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path)


def write_cityscapes(root, raw_values):
    for split, names in NAMES.items():
        for name in names:
            stem = f"{split}ville/{split}ville_{name}"
            photo = root / "leftImg8bit" / split / f"{stem}_leftImg8bit.png"
            write_pair(photo, root / "gtFine" / split / f"{stem}_gtFine_labelIds.png", raw_values)
    return {}


def write_camvid(root, raw_values):
    for split, names in NAMES.items():
        for name in names:
            write_pair(root / split / f"{name}.png", root / f"{split}annot" / f"{name}.png", raw_values)
    return {}


def write_folder(root, raw_values):
    for split, names in NAMES.items():
        for name in names:
            write_pair(root / f"images/{split}/{name}.JPG", root / f"labels/{split}/{name}.png", raw_values)
    return {"folder": FolderConfig(classes=("road", "car", "sky"))}


WRITERS = {"cityscapes": write_cityscapes, "camvid": write_camvid, "folder": write_folder}
RAW_VALUES = {"cityscapes": (0, 7, 26, 33), "camvid": (0, 3, 10, 11), "folder": (0, 1, 2, 255)}


@pytest.fixture(params=DATASETS)
def config(request, tmp_path):
    name = request.param
    extra = WRITERS[name](tmp_path / "root", RAW_VALUES[name])
    return DataConfig(dataset=name, root=str(tmp_path / "root"), cache_dir=str(tmp_path / "cache"), **extra)


def files(config, part):
    return [getattr(pair, part) for pair in open_dataset(config).pairs()]


def test_splits_hold_all_pairs_and_share_none(config):
    splits = divide(open_dataset(config), config)
    assert {split: len(found) for split, found in splits.items()} == {"train": 3, "val": 2, "test": 0}
    assert not {pair.photo for pair in splits["train"]} & {pair.photo for pair in splits["val"]}
    assert all(pair.photo.is_file() and pair.label.is_file() for pairs in splits.values() for pair in pairs)


def test_decoded_labels_are_training_ids_or_void(config):
    prepared = prepare(config, announce=lambda line: None)
    valid = {*range(prepared.label_space.num_classes), IGNORE_INDEX}
    for shard in (prepared.train, prepared.val):
        for index in range(len(shard)):
            assert shard.pair(index)[0].shape == (*SIZE, 3)
            assert shard.pair(index)[1].shape == SIZE
            values = set(np.unique(shard.pair(index)[1]).tolist())
            assert values <= valid
            assert IGNORE_INDEX in values


def test_an_image_without_a_label_is_named(config):
    missing = files(config, "label")[0]
    photo = files(config, "photo")[0]
    missing.unlink()
    with pytest.raises(DataError, match=rf"(?s)1 images without a label.*{photo.name}"):
        files(config, "photo")


def test_a_label_without_an_image_is_named(config):
    missing = files(config, "photo")[0]
    label = files(config, "label")[0]
    missing.unlink()
    with pytest.raises(DataError, match=rf"(?s)1 labels without an image.*{label.name}"):
        files(config, "photo")


@pytest.mark.parametrize("part", ["photo", "label"])
def test_an_empty_folder_is_an_error(config, part):
    folder = Path(files(config, part)[0]).parent
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"holds no (images|labels)"):
        files(config, part)


def test_a_missing_split_is_an_error(config):
    folder = next(parent for parent in files(config, "photo")[-1].parents if parent.name == "val")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(DataError, match="does not exist"):
        files(config, "photo")


@pytest.mark.parametrize("part", ["photo", "label"])
def test_a_folder_that_cannot_be_read_is_named(config, part, monkeypatch):
    folder, listing = files(config, part)[0].parent, Path.iterdir

    def refuse(path):
        if path == folder:
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=rf"1 data folders cannot be read:\n  {folder}: Permission denied"):
        files(config, part)


def test_a_missing_root_is_an_error(config):
    with pytest.raises(DataError, match="does not exist"):
        files(config.model_copy(update={"root": "/no/such/folder"}), "photo")


def test_no_root_is_an_error(config):
    with pytest.raises(ConfigError, match=r"data\.root"):
        files(config.model_copy(update={"root": ""}), "photo")


def test_colors_and_names_fit(config):
    space = open_dataset(config).label_space
    assert len(space.names) == len(set(space.names)) == len(set(space.colors)) == space.num_classes
