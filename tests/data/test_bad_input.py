"""Damaged and misplaced data sets: each is one clear error that names the file, or is read as it should be."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segray.config import PairsConfig, RunConfig
from segray.data.datasets import DATASETS, open_dataset
from segray.data.preparation import prepare
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.errors import DataError, SegrayError, StorageError
from segray.folder import Folder

SIZE = (32, 48)


@pytest.fixture(scope="module", params=DATASETS)
def written(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("written") / "data"
    write_scenes(request.param, root, train=3, val=2, test=1, size_px=SIZE)
    return request.param, root


@pytest.fixture
def config(written, tmp_path):
    """A copy of a whole data set, in a folder whose name holds what names may hold."""
    name, root = written
    copy = tmp_path / "disk" / "downloads" / "straße mit bäumen & 'häusern' %20"
    shutil.copytree(root, copy)
    values = {"data.dataset": name, "data.root": str(copy), "data.crop_px": [32, 32]}
    values["data.cache_dir"] = str(tmp_path / "cache")
    return RunConfig().with_values(values | NEEDED_VALUES.get(name, {})).data


def at(config, root):
    return config.model_copy(update={"root": str(root)})


def silently(config):
    return prepare(config, lambda line: None)


def fault_of(config):
    with pytest.raises(SegrayError) as caught:
        silently(config)
    assert isinstance(caught.value, DataError)
    return caught.value


def num_images(prepared):
    return len(prepared.train) + len(prepared.val) + len(prepared.test)


def a_pair(config):
    dataset = open_dataset(config)
    return [*dataset.official.get("train", ()), *dataset.undivided][0]


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def replace_by_text(path):
    path.write_text("404: not found")


def replace_by_a_link_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


def replace_by_a_link_to_nothing(path):
    path.unlink()
    path.symlink_to("elsewhere.png")


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    halve: "does not decode",
    empty: "is empty",
    replace_by_text: "does not decode: cannot identify",
    replace_by_a_link_to_itself: "symbolic links",
    replace_by_a_link_to_nothing: "No such file",
    replace_by_a_folder: "[Ii]s a directory",
}


@pytest.mark.parametrize("part", ["photo", "label"])
@pytest.mark.parametrize(("damage", "message"), DAMAGES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_damaged_file_is_named(config, part, damage, message):
    path = getattr(a_pair(config), part)
    damage(path)
    problems = fault_of(config).problems
    assert [problem for problem in problems if str(path) in problem] == list(problems)
    assert all(re.search(message, problem) for problem in problems)


def test_every_damaged_file_is_named_at_once(config):
    paths = [pair.photo for pair in open_dataset(config).pairs()[:3]]
    for path in paths:
        empty(path)
    problems = fault_of(config).problems
    assert len(problems) == 3
    assert all(str(path) in problem for path, problem in zip(sorted(paths), sorted(problems), strict=True))


def test_nothing_is_left_in_the_cache_of_a_rejected_data_set(config):
    empty(a_pair(config).photo)
    fault_of(config)
    assert list(Path(config.cache_dir).rglob("*.bin")) == []


def test_a_root_too_high_is_read_or_said(config):
    """Where the layout allows the level, all images are there; else the message names the right folder."""
    root, expected = Path(config.root), num_images(silently(config))
    high = at(config, root.parent)
    try:
        assert num_images(silently(high)) == expected
    except DataError as error:
        assert str(root) in str(error)  # noqa: PT017 - either is right


def test_a_root_too_low_is_read_or_said(config):
    root = Path(config.root)
    expected = num_images(silently(config))
    for low in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        try:
            assert 0 < num_images(silently(at(config, low))) <= expected
        except DataError as error:
            # One recording of several is a data set too, if a small one.
            assert str(root) in str(error) or "split of" in str(error), low  # noqa: PT017 - either is right


def test_a_root_that_is_a_file_is_refused(config):
    path = Path(config.root) / "readme.txt"
    path.write_text("no data")
    assert "is a file, not a folder" in str(fault_of(at(config, path)))


def test_an_empty_root_is_refused(config, tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in str(fault_of(at(config, tmp_path / "empty")))


def test_files_of_other_kinds_do_not_matter(config):
    expected = num_images(silently(config))
    for folder in {pair.photo.parent for pair in open_dataset(config).pairs()}:
        for name in ("Thumbs.db", ".DS_Store", "readme.txt", *(f"._{path.name}" for path in folder.iterdir())):
            (folder / name).write_bytes(b"x")
    (Path(config.root) / "__MACOSX").mkdir()
    assert num_images(silently(at(config, f"{config.root}/."))) == expected


def test_extensions_may_be_in_capitals(config):
    expected = num_images(silently(config))
    for pair in open_dataset(config).pairs():
        for path in {pair.photo, pair.label}:
            path.rename(path.with_suffix(path.suffix.upper()))
    assert num_images(silently(at(config, f"{config.root}/."))) == expected


def test_a_folder_that_links_to_itself_is_refused(config):
    folder = a_pair(config).photo.parent
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)
    assert str(folder) in str(fault_of(at(config, f"{config.root}/.")))


def test_a_label_of_another_size_is_named(config):
    pair = a_pair(config)
    if pair.photo == pair.label:
        cut = pair.photo
        with Image.open(cut) as both:
            both.crop((0, 0, both.width - 1, both.height)).save(cut)
        assert str(cut) in str(fault_of(config))
        return
    with Image.open(pair.label) as label:
        small = label.crop((0, 0, 20, 20))
    small.save(pair.label)
    fault = str(fault_of(config))
    assert str(pair.label) in fault
    assert "must have its image's size, but is 20x20" in fault


def test_a_label_of_16_bits_is_named(config):
    pair = a_pair(config)
    if pair.photo == pair.label:
        pytest.skip("the label is half of a JPEG")
    with Image.open(pair.label) as label:
        height, width = label.height, label.width
    Image.fromarray(np.full((height, width), 7, np.uint16)).save(pair.label)
    assert str(pair.label) in str(fault_of(config))


def test_an_id_where_colours_are_expected_and_the_reverse_is_named(config):
    pair = a_pair(config)
    if pair.photo == pair.label:
        pytest.skip("any picture is a pair")
    with Image.open(pair.label) as label:
        holds_ids = label.mode in ("L", "P")
        height, width = label.height, label.width
    wrong = np.full((height, width, 3), 77, np.uint8) if holds_ids else np.full((height, width), 1, np.uint8)
    Image.fromarray(wrong).save(pair.label)
    fault = str(fault_of(config))
    assert str(pair.label) in fault
    assert "colour" in fault


@pytest.mark.parametrize("labels", ["palette", "kmeans"])
def test_a_folder_that_cannot_be_written_is_read(config, labels, monkeypatch):
    """Root may write everywhere, so writes are refused there by hand, and none may have gone another way."""
    root, writing = Path(config.root), Folder._writing

    def refuse(folder, name):
        if Path(folder.path).is_relative_to(root):
            raise StorageError(f"cannot write {name!r}: Read-only file system")
        return writing(folder, name)

    monkeypatch.setattr(Folder, "_writing", refuse)
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o555)
    before = sorted(root.rglob("*"))
    chosen = config.model_copy(update={"pairs": PairsConfig(labels=labels)})
    assert num_images(silently(chosen)) > 0
    assert sorted(root.rglob("*")) == before
