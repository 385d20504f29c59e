"""Every data set, written small in its own layout, keeps the promises of `Dataset`."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segray.config import RunConfig
from segray.data.datasets import DATASETS, open_dataset
from segray.data.preparation import prepare
from segray.data.splits.division import divide
from segray.data.synthetic import NEEDED_VALUES, WRITERS, write_scenes
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX

SIZE = (32, 48)
SYNTHETIC = {"train": 3, "val": 2, "test": 2}


@pytest.fixture(params=DATASETS)
def config(request, tmp_path):
    name = request.param
    write_scenes(name, tmp_path / "root", **SYNTHETIC, size_px=SIZE)
    values = {"data.dataset": name, "data.root": str(tmp_path / "root"), "data.cache_dir": str(tmp_path / "cache")}
    return RunConfig().with_values(values | NEEDED_VALUES.get(name, {})).data


def test_every_data_set_has_a_synthetic_writer():
    assert WRITERS.keys() == DATASETS.keys()


def files(config, part):
    return [getattr(pair, part) for pair in open_dataset(config).pairs()]


def test_splits_hold_all_pairs_and_share_none(config):
    splits = divide(open_dataset(config), config)
    pairs = [pair for part in splits.values() for pair in part]
    assert sorted(pairs) == sorted(open_dataset(config).pairs())
    assert len({pair.photo for pair in pairs}) == len({pair.name for pair in pairs}) == len(pairs)
    assert len(pairs) + len(open_dataset(config).unlabelled) == sum(SYNTHETIC.values())
    assert all(pair.photo.is_file() and pair.label.is_file() for pair in pairs)


def test_decoded_labels_are_training_ids_or_void(config):
    prepared = prepare(config, announce=lambda line: None)
    valid = {*range(prepared.label_space.num_classes), IGNORE_INDEX}
    for shard in (prepared.train, prepared.val):
        for index in range(len(shard)):
            photo, label = shard.pair(index)
            assert photo.shape == (*label.shape, 3)
            assert np.abs(np.subtract(label.shape, SIZE)).max() <= 2
            values = set(np.unique(shard.pair(index)[1]).tolist())
            assert values <= valid


def test_an_image_without_a_label_is_named(config):
    missing = files(config, "label")[0]
    photo = files(config, "photo")[0]
    if missing == photo:
        pytest.skip("one file holds photo and label")
    missing.unlink()
    with pytest.raises(DataError, match=rf"(?s)1 images without a label.*{photo.name}"):
        files(config, "photo")


def test_a_label_without_an_image_is_named(config):
    missing = files(config, "photo")[0]
    label = files(config, "label")[0]
    if missing == label:
        pytest.skip("one file holds photo and label")
    missing.unlink()
    with pytest.raises(DataError, match=rf"(?s)1 labels without an image.*{label.name}"):
        files(config, "photo")


@pytest.mark.parametrize("part", ["photo", "label"])
def test_a_split_without_files_is_an_error(config, part):
    dataset = open_dataset(config)
    for pair in dataset.official.get("val") or dataset.undivided or dataset.official["train"]:
        getattr(pair, part).unlink()
    with pytest.raises(DataError, match=r"holds no (images|labels)"):
        open_dataset(config)


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


def test_missing_labels_of_every_split_are_named_at_once(config):
    dataset = open_dataset(config)
    parts = [pairs for pairs in dataset.official.values() if pairs[0].photo != pairs[0].label]
    for pairs in parts:
        pairs[0].label.unlink()
    if len(parts) < 2:
        pytest.skip("one folder holds all labels, or photos hold them")
    with pytest.raises(DataError) as caught:
        open_dataset(config)
    assert all(any(str(pairs[0].photo) in problem for problem in caught.value.problems) for pairs in parts)


def stray(path, what):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(what)


def test_every_file_that_no_image_is_made_of_is_counted(config):
    expected = set()
    pairs = open_dataset(config).pairs()
    for folder in {path.parent for pair in pairs for path in (pair.photo, pair.label)}:
        for name in (".DS_Store", "._a.png", "Thumbs.db", "desktop.ini"):
            stray(folder / name, b"x")
        for name in ("a.gif", "notes.json", "readme", "inner/b.heic", "inner/deeper/c.png", ".hidden/d.png"):
            stray(folder / name, b"x")
            if not (config.dataset == "folder" and name == "inner/deeper/c.png"):
                expected.add(folder / name)
    dataset = open_dataset(config)
    assert dataset.pairs() == pairs or config.dataset == "folder"
    assert {file.path for file in dataset.unused} == expected
    assert len(dataset.unused) == len(expected)
    (line,) = dataset.notes_in_short()
    assert line.startswith(f"{len(expected)} files are not used: ")


def renamed(path, prefix):
    return path.rename(path.with_name(prefix + path.name))


@pytest.fixture
def named_freely(config):
    """Data sets whose layout leaves the start of names to the person; cityscapes has any city."""
    if config.dataset in ("kitti_road", "cityscapes_pairs"):
        pytest.skip("names are fixed, or one file holds photo and label")
    return config


def test_names_match_composed_and_decomposed(named_freely):
    for pair in open_dataset(named_freely).pairs():
        renamed(pair.photo, unicodedata.normalize("NFD", "zürich_"))
        renamed(pair.label, unicodedata.normalize("NFC", "zürich_"))
    names = [pair.name for pair in open_dataset(named_freely).pairs()]
    assert len(names) >= SYNTHETIC["train"] + SYNTHETIC["val"]
    assert all("zürich_" in name and name == unicodedata.normalize("NFC", name) for name in names)
    without = named_freely.model_copy(update={"exclude": (unicodedata.normalize("NFD", names[0]),)})
    assert [pair.name for pair in open_dataset(without).pairs()] == names[1:]


@pytest.mark.parametrize("part", ["photo", "label"])
def test_two_files_whose_names_are_one_when_composed_are_refused(named_freely, part):
    path = getattr(open_dataset(named_freely).pairs()[0], part)
    for form in ("NFC", "NFD"):
        copy = path.with_name(unicodedata.normalize(form, "é") + path.name)
        copy.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"occur twice(?s:.*)the same letters in two Unicode forms"):
        open_dataset(named_freely)


@pytest.mark.parametrize("extension", [".TIFF", ".webp"])
def test_photos_of_other_formats_are_read(config, extension):
    pairs = open_dataset(config).pairs()
    for pair in pairs:
        with Image.open(pair.photo) as photo:
            photo.save(pair.photo.with_suffix(extension), lossless=True)
        pair.photo.unlink()
    read = open_dataset(config)
    assert [pair.name for pair in read.pairs()] == [pair.name for pair in pairs]
    assert {pair.photo.suffix for pair in read.pairs()} == {extension}
    photo, label = read.reader.read(read.pairs()[0])
    assert photo.shape[:2] == label.shape


@pytest.mark.parametrize("extension", [".tif", ".bmp"])
def test_labels_of_other_lossless_formats_hold_the_same_ids(config, extension):
    dataset = open_dataset(config)
    if dataset.pairs()[0].photo == dataset.pairs()[0].label:
        pytest.skip("one file holds photo and label")
    expected = [dataset.reader.read(pair)[1] for pair in dataset.pairs()]
    for pair in dataset.pairs():
        with Image.open(pair.label) as label:
            label.save(pair.label.with_suffix(extension))
        pair.label.unlink()
    read = open_dataset(config)
    for pair, label in zip(read.pairs(), expected, strict=True):
        assert pair.label.suffix == extension
        np.testing.assert_array_equal(read.reader.read(pair)[1], label)
