import os
from pathlib import Path

import pytest

from segray.errors import DataError
from segray.inference.inputs import find_inputs, named_in_common_folder, without


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("10.png", "9.png", "b/2.jpg", "a/1.PNG", "a/notes.txt", ".hidden/1.png", "._9.png", "clip.mp4"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def names(places, **options):
    return [file.name for file in find_inputs(places, **options)]


def test_a_folder_gives_its_photos_at_any_depth_in_natural_order(folder):
    assert names([folder]) == ["9", "10", "a/1", "b/2"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("photos/*.png", ["9", "10"]),
        ("photos/*/*", ["a/1", "b/2"]),
        ("photos/**/*.jpg", ["b/2"]),
        ("photos/[9]*", ["9"]),
        ("photos/c*", ["clip"]),
    ],
)
def test_a_pattern_gives_photos_and_videos(folder, pattern, found):
    assert names([pattern]) == found


def test_places_keep_their_order_and_a_file_comes_once(folder):
    assert names([folder / "b", folder / "9.png", folder / "clip.mp4", folder / "b/2.jpg"]) == ["2", "9", "clip"]


def test_files_of_one_name_are_named_from_the_folder_that_holds_all(folder):
    (folder / "b/1.png").touch()
    assert names([folder / "a/1.PNG", folder / "b/1.png"]) == ["a/1", "b/1"]
    assert names([folder / "a", folder / "b", folder / "9.png"]) == ["a/1", "b/1", "b/2", "9"]


def test_files_that_differ_in_their_extension_alone_keep_it(folder):
    (folder / "9.jpg").touch()
    assert names([folder]) == ["9.jpg", "9.png", "10", "a/1", "b/2"]


def test_frames_of_a_video_and_photos_never_have_one_name(folder):
    (folder / "clip").mkdir()
    (folder / "clip/000001.png").touch()
    assert names([folder, folder / "clip.mp4"]) == ["9", "10", "a/1", "b/2", "clip/000001", "clip.mp4"]


def test_a_file_that_is_named_like_anothers_result_keeps_its_extension(folder):
    for name in ("9.jpg", "9.jpg.png"):
        (folder / name).touch()
    assert names([folder / name for name in ("9.jpg", "9.png", "9.jpg.png")]) == ["9.jpg", "9.png", "9.jpg.png"]


def test_names_that_are_not_utf8_are_named(folder):
    path = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")
    Path(path).touch()
    with pytest.raises(DataError, match=r"must be UTF-8, but 1 are not; rename them:\n  '.*caf.udce9.png'"):
        find_inputs([folder])


def test_a_name_with_brackets_is_a_file_if_there_is_one(folder):
    (folder / "[1].png").touch()
    assert names(["photos/[1].png"]) == ["[1]"]


def test_earlier_results_in_the_folder_are_no_photos(folder):
    assert names([folder], leave_out=folder / "b") == ["9", "10", "a/1"]
    assert names(["photos/**/*.*"], leave_out=folder / "b") == ["9", "10", "a/1", "clip"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("missing.png", "there is no photo, video or folder 'missing.png'"),
        ("photos/*.gif", "matches nothing"),
        ("photos/a/*.txt", "matches 1 files and folders, none of them a photo"),
        ("empty", r"must hold a photo at some depth, but holds none of \.bmp"),
    ],
)
def test_places_without_photos(folder, place, why):
    (folder.parent / "empty").mkdir()
    with pytest.raises(DataError, match=why):
        find_inputs([place])


def test_paths_are_named_below_the_folder_that_holds_all(folder):
    assert [file.name for file in named_in_common_folder([folder / "a/1.PNG", folder / "b/2.jpg"])] == ["a/1", "b/2"]
    assert named_in_common_folder([]) == []


def test_what_is_done_is_left_out_but_videos_are_looked_into(folder):
    files = find_inputs([folder / "9.png", folder / "10.png", folder / "clip.mp4"])
    assert [file.name for file in without(files, {"9", "clip"})] == ["10", "clip"]


def test_links_are_followed_once_even_in_a_circle(folder):
    (folder / "c").symlink_to(folder)
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere/7.png").touch()
    (folder / "d").symlink_to(folder.parent / "elsewhere")
    assert names([folder]) == ["9", "10", "a/1", "b/2", "d/7"]


def test_names_never_lead_out_of_the_output_folder(folder):
    assert names(["photos/*/../9.png"]) == ["9"]
