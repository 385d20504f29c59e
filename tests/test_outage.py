"""Storage that is out of reach for a while."""

import errno
import threading
import time
from dataclasses import replace

import pytest

from segray import folder as folder_module
from segray.errors import OutageError, StorageError
from segray.folder import open_folder
from segray.owner import Claim


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(folder_module, "RETRY_SECONDS", 0.01)


@pytest.fixture
def failing(monkeypatch):
    """Make the next writes fail with an error number."""

    def fail(number, times):
        left = iter(range(times))
        write = folder_module.write_whole

        def write_whole(path, content):
            if next(left, None) is not None:
                raise OSError(number, "out of reach")
            write(path, content)

        monkeypatch.setattr(folder_module, "write_whole", write_whole)

    return fail


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTUNREACH, None])
def test_a_write_waits_for_storage_that_comes_back(tmp_path, failing, capfd, number):
    failing(number, times=3)
    folder = replace(open_folder(tmp_path), patience_seconds=60.0)
    folder.write_bytes("file", b"content")
    assert folder.read_bytes("file") == b"content"
    assert capfd.readouterr().err.count("waiting for it up to 60 s") == 1


def test_without_patience_an_outage_is_an_error_at_once(tmp_path, failing):
    failing(errno.ESTALE, times=1)
    with pytest.raises(OutageError, match="cannot write"):
        open_folder(tmp_path).write_bytes("file", b"content")


def test_patience_ends(tmp_path, failing):
    failing(errno.EIO, times=10**6)
    started = time.monotonic()
    with pytest.raises(OutageError):
        replace(open_folder(tmp_path), patience_seconds=0.2).write_bytes("file", b"content")
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_full_or_read_only_disk_is_not_waited_for(tmp_path, failing, number):
    failing(number, times=10**6)
    with pytest.raises(StorageError) as caught:
        replace(open_folder(tmp_path), patience_seconds=60.0).write_bytes("file", b"content")
    assert not isinstance(caught.value, OutageError)


@pytest.fixture
def owned(tmp_path):
    """The folder of a sweep that this process owns."""
    folder = tmp_path / "runs" / "sweep"
    with Claim(open_folder(folder)) as claim:
        claim.take()
        wait_for((folder / "owner-000001.beat").exists)
        yield replace(claim.folder, guard=claim, patience_seconds=60.0)


def away(tmp_path):
    return tmp_path / "runs" / "sweep", tmp_path / "away"


def look_again(folder):
    folder.guard._looked_at = 0.0


@pytest.mark.parametrize("looks_again", [True, False])
def test_an_owner_waits_for_a_folder_that_was_unmounted_and_makes_none_in_its_place(tmp_path, owned, looks_again):
    folder, elsewhere = away(tmp_path)
    owned.check_guard()
    folder.rename(elsewhere)
    if looks_again:
        look_again(owned)
    writer = threading.Thread(target=owned.child("trials/0000").write_bytes, args=("last.json", b"{}"))
    writer.start()
    time.sleep(0.3)
    assert writer.is_alive()
    assert not folder.exists()
    elsewhere.rename(folder)
    writer.join(30)
    assert (folder / "trials/0000/last.json").read_bytes() == b"{}"


def test_a_folder_that_was_deleted_is_given_up(tmp_path, owned):
    folder, elsewhere = away(tmp_path)
    folder.rename(elsewhere)
    look_again(owned)
    with pytest.raises(OutageError, match=r"deleted the folder|out of reach, or gone"):
        replace(owned, patience_seconds=0.1).write_bytes("state.json", b"{}")
    assert not folder.exists()


def test_signs_of_life_go_on_after_an_outage(tmp_path, monkeypatch):
    monkeypatch.setattr("segray.owner.BEAT_SECONDS", 0.02)
    folder, elsewhere = away(tmp_path)
    with Claim(open_folder(folder)) as claim:
        claim.take()
        beat = folder / "owner-000001.beat"
        wait_for(beat.exists)
        folder.rename(elsewhere)
        time.sleep(0.2)
        assert not folder.exists()
        elsewhere.rename(folder)
        count = int(beat.read_bytes())
        wait_for(lambda: int(beat.read_bytes()) > count)


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
