import os
from pathlib import Path

import pytest

from segray.data.datasets.lister import Lister
from segray.data.datasets.root import contents, existing_folder, root_folder
from segray.errors import ConfigError, DataError

MARKERS = ("images/train", "labels")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "outer" / "inner" / "data"
    for marker in MARKERS:
        (root / marker).mkdir(parents=True)
    return root


def test_a_root_with_its_markers_is_taken(root):
    assert root_folder(str(root), MARKERS) == root


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ("outer/inner/data/images", "one level above"),
        ("outer/inner/data/images/train", "two levels above"),
        ("outer/inner/data/images/../labels", "one level above"),
        ("outer/inner", "one level below"),
        ("outer", "two levels below"),
    ],
)
def test_a_folder_of_another_level_is_told_the_right_one(root, tmp_path, given, level):
    with pytest.raises(DataError) as error:
        root_folder(str(tmp_path / given), MARKERS)
    assert str(error.value) == (
        f"data folder '{tmp_path / given}' must hold images/train and labels, but a folder {level} does; "
        f"set data.root to '{root}'"
    )


def test_a_relative_root_is_told_the_right_one(root, monkeypatch):
    monkeypatch.chdir(root / "images")
    with pytest.raises(DataError, match=f"one level above does; set data.root to '{root}'"):
        root_folder(".", MARKERS)


def test_several_folders_below_are_all_named(root, tmp_path):
    (tmp_path / "outer/other/images/train").mkdir(parents=True)
    (tmp_path / "outer/other/labels").mkdir()
    root.rename(tmp_path / "outer/data")
    with pytest.raises(DataError, match=r"several folders below it do(?s:.*)outer/data\n.*outer/other"):
        root_folder(str(tmp_path / "outer"), MARKERS)


def test_a_missing_part_is_named_beside_what_is_there(root):
    (root / "labels").rmdir()
    with pytest.raises(DataError, match="must hold images/train and labels, but lacks labels; there are images"):
        root_folder(str(root), MARKERS)


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    with pytest.raises(DataError, match="it is empty"):
        root_folder(str(tmp_path), MARKERS)


def test_no_root_is_a_config_error():
    with pytest.raises(ConfigError, match=r"data\.root must name the folder"):
        root_folder("", MARKERS)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"data folder '.*/nowhere' does not exist"):
        root_folder(str(tmp_path / "nowhere"), MARKERS)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "data.zip").touch()
    with pytest.raises(DataError, match=r"data folder '.*data\.zip' is a file, not a folder"):
        root_folder(str(tmp_path / "data.zip"), MARKERS)


def test_a_link_to_itself_is_named(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match=r"data folder '.*/loop' cannot be read: Too many levels of symbolic links"):
        root_folder(str(tmp_path / "loop"), MARKERS)


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"data folder '.*/dangling' is a link to nothing"):
        existing_folder(tmp_path / "dangling")


def test_links_between_folders_do_not_end_the_search(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a" / "loop")
    with pytest.raises(DataError, match="lacks images/train and labels; there are a"):
        root_folder(str(tmp_path), MARKERS)


def test_an_unreadable_root_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=rf"cannot be read:\n  {tmp_path}: Permission denied"):
        root_folder(str(tmp_path), MARKERS)


def test_all_folders_that_cannot_be_listed_are_problems(tmp_path):
    loops = [tmp_path / name for name in ("a", "b")]
    for loop in loops:
        loop.symlink_to(loop)
    with pytest.raises(DataError) as error:
        contents(loops)
    assert error.value.problems == tuple(f"{loop}: Too many levels of symbolic links" for loop in loops)


def test_stems_keep_spaces_dots_and_other_alphabets(tmp_path):
    names = ["a b.PNG", "straße.Jpg", "v1.2.png", "notes.txt"]
    for name in names:
        (tmp_path / name).touch()
    assert Lister().photos(tmp_path).keys() == {"a b", "straße", "v1.2"}


def test_a_name_that_is_not_utf8_is_shown_and_refused(tmp_path):
    (tmp_path / os.fsdecode(b"stra\xdfe.png")).touch()
    with pytest.raises(DataError, match=r"names must be UTF-8, but 1 are not; rename them:\n  '.*stra\\udcdfe\.png'"):
        contents([tmp_path])
