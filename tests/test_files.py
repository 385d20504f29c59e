import os
from pathlib import Path

import pytest

from segray import files
from segray.errors import StorageError
from segray.folder import open_folder


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    files.write_whole(tmp_path / "a", b"old")

    def fail(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="no space left"):
        open_folder(tmp_path).write_bytes("a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    seen = []
    fsync = os.fsync

    def spy(descriptor):
        opened = str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(str(tmp_path))
        seen.append((opened, [path.name for path in tmp_path.iterdir()]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    files.write_whole(tmp_path / "a", b"content")
    (partial, before), (folder, after) = seen
    assert partial.startswith("/a.partial-")
    assert "a" not in before
    assert (folder, after) == ("", ["a"])


def test_only_the_first_writes_a_new_file(tmp_path):
    assert files.write_new(tmp_path / "a", b"first")
    assert not files.write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_line_after_one_that_was_cut_is_a_line_of_its_own(tmp_path):
    path = tmp_path / "log" / "lines.txt"
    files.append_line(path, "one")
    path.write_bytes(path.read_bytes() + b"cu")
    files.append_line(path, "two")
    assert path.read_text() == "one\ncu\ntwo\n"


def test_what_killed_writers_left_is_removed_and_links_are_not_followed(tmp_path):
    sweep, elsewhere = tmp_path / "sweep", tmp_path / "elsewhere"
    for folder in (sweep / "trials" / "0000" / "checkpoints" / "1-1", elsewhere):
        folder.mkdir(parents=True)
        (folder / "model.safetensors.partial-123").write_bytes(b"half")
    (sweep / "trials" / "0001").symlink_to(elsewhere)
    (sweep / "state.json").write_bytes(b"{}")
    open_folder(sweep).remove_partials()
    assert [path.name for path in sweep.rglob("*") if path.is_file()] == ["state.json"]
    assert list(elsewhere.iterdir())


@pytest.mark.parametrize("link", ["trials", "trials/0000", "trials/0000/checkpoints", "trials/0000/checkpoints/1-1"])
def test_nothing_is_deleted_outside_the_folder_that_was_opened(tmp_path, link):
    victim, sweep = tmp_path / "victim", tmp_path / "sweep"
    target = victim / "trials/0000/checkpoints/1-1".removeprefix(link).lstrip("/")
    target.mkdir(parents=True)
    (target / "model.safetensors").write_bytes(b"precious")
    (sweep / link).parent.mkdir(parents=True)
    (sweep / link).symlink_to(victim)
    checkpoint = "checkpoints/1-1"
    trial = open_folder(sweep).child("trials/0000")
    if link.endswith("1-1"):
        trial.delete(checkpoint)
        assert not os.path.lexists(sweep / link)
    else:
        with pytest.raises(StorageError, match="a link leads there"):
            trial.delete(checkpoint)
    assert (target / "model.safetensors").read_bytes() == b"precious"


def test_a_folder_that_is_reached_by_a_link_is_deleted_from(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    folder = open_folder(tmp_path / "runs" / "sweep")
    folder.write_bytes("trials/0000/a", b"1")
    folder.child("trials").delete("0000")
    assert folder.names("trials") == []


def test_a_growing_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"before")
    with files.growing_file(path) as partial:
        partial.write_bytes(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_growing_file_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"before")

    def fail():
        with files.growing_file(path) as partial:
            partial.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
