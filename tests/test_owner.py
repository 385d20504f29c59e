"""Only one start at a time writes a sweep's files."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import fake_sweep
import pytest
from pyarrow import fs as pafs

from segray import owner, process
from segray.errors import SegrayError, StorageError, SweepTakenError
from segray.folder import Folder, open_folder
from segray.owner import Claim, owner_is_gone
from segray.storage import SweepFiles

OTHER_START = """
import sys, time
from segray.folder import open_folder
from segray.owner import Claim
claim = Claim(open_folder(sys.argv[1]))
claim.take()
print("taken", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["local", "object store"])
def folder(request, tmp_path, monkeypatch):
    monkeypatch.setattr(owner, "SETTLE_SECONDS", 0.1)
    if request.param == "local":
        return open_folder(tmp_path / "sweep")
    filesystem = pafs._MockFileSystem()
    filesystem.create_dir("bucket/sweep")
    return Folder(filesystem, "bucket/sweep")


@pytest.fixture
def local(tmp_path):
    return open_folder(tmp_path / "sweep")


@pytest.fixture
def impatient(monkeypatch):
    """Make every check read the owner's file, and signs of life frequent."""
    monkeypatch.setattr(owner, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(owner, "WATCH_SECONDS", 2.0)


def on_another_machine(monkeypatch):
    monkeypatch.setattr(owner, "machine_id", lambda: "another")


@contextmanager
def another_start(folder):
    """A process that owns the sweep."""
    started = subprocess.Popen([sys.executable, "-c", OTHER_START, folder.path], stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout.readline() == "taken\n"
        yield started
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


def owned(folder, claim):
    return SweepFiles(replace(folder, guard=claim))


def test_a_start_that_has_ended_leaves_the_sweep_to_the_next(folder):
    for number in (1, 2, 3):
        with Claim(folder) as claim:
            claim.take()
            assert claim.number == number
            owned(folder, claim).write_state(fake_sweep.state("running"))
    assert folder.names() == ["owner-000003.json", "state.json"]


def test_the_first_write_takes_a_sweep_that_is_nobodys(folder):
    claim = Claim(folder)
    owned(folder, claim).write_state(fake_sweep.state("running"))
    assert claim.number == 1
    with pytest.raises(StorageError, match="still running"):
        owned(folder, Claim(folder)).write_state(fake_sweep.state("running"))


def test_of_many_starts_in_the_same_moment_one_has_the_sweep(local):
    dead = Claim(local)
    dead.take()
    path = local.child("owner-000001.json").path
    open_folder(path.rpartition("/")[0]).write_bytes("owner-000001.json", b"{}")
    ready = threading.Barrier(8)

    def start(_):
        claim = Claim(local)
        ready.wait()
        try:
            claim.take()
        except StorageError:
            return None
        return claim

    with ThreadPoolExecutor(8) as pool:
        [winner] = filter(None, pool.map(start, range(8)))
    winner.check()


@pytest.mark.parametrize(
    ("end", "message"), [(None, "still running, as process"), (signal.SIGSTOP, r"is stopped \(SIGSTOP or Ctrl-Z\)")]
)
def test_a_process_of_this_machine_that_lives_keeps_the_sweep_however_long_it_is_silent(local, end, message):
    with another_start(local) as other:
        if end:
            other.send_signal(end)
            while not process.process_status(other.pid).is_stopped:
                time.sleep(0.01)
        with pytest.raises(StorageError, match=message) as caught:
            Claim(local).take()
        assert str(other.pid) in str(caught.value)
        assert not owner_is_gone(local)


@pytest.mark.parametrize("reap", [True, False])
def test_a_process_of_this_machine_that_was_killed_or_is_a_zombie_loses_it_at_once(local, reap):
    with another_start(local) as other:
        other.kill()
        if reap:
            other.wait()
        while process.process_status(other.pid) is not None:
            time.sleep(0.01)
        assert owner_is_gone(local)
        Claim(local).take(pytest.fail)


def test_a_later_process_with_the_same_id_does_not_count(local):
    with another_start(local):
        content = local.read_json("owner-000001.json")
    local.write_json("owner-000001.json", content | {"pid": os.getppid()})
    assert owner_is_gone(local)
    Claim(local).take(pytest.fail)


def test_a_process_that_cannot_be_seen_keeps_the_sweep_while_it_gives_signs_of_life(folder, monkeypatch, impatient):
    said = []
    Claim(folder).take()
    on_another_machine(monkeypatch)
    with pytest.raises(StorageError, match="still running"):
        Claim(folder).take(said.append)
    assert "watching for a sign of life for 2 s" in said[0]
    assert not owner_is_gone(folder)


def test_a_process_that_cannot_be_seen_loses_the_sweep_when_it_is_silent_and_writes_no_more(
    folder, monkeypatch, impatient
):
    monkeypatch.setattr(owner, "_beat", lambda *_: None)
    silent = Claim(folder)
    silent.take()
    mine = owned(folder, silent)
    mine.write_state(fake_sweep.state("running"))
    mine.trial("0000").write_values({"lr": 1})
    workers = pickle.loads(pickle.dumps(mine.folder.guard)) if folder.is_local else silent
    on_another_machine(monkeypatch)
    later = Claim(folder)
    later.take()
    owned(folder, later).write_state(fake_sweep.state("running", trials=7))
    for write in (
        lambda: mine.write_state(fake_sweep.state("running")),
        lambda: mine.trial("0000").write_values({"lr": 2}),
        lambda: mine.trial("0000").append_record(fake_sweep.record(1)),
        lambda: mine.trial("0000").folder.delete("values.json"),
        lambda: mine.folder.write_new_json("new.json", {}),
        workers.check,
    ):
        with pytest.raises(SweepTakenError, match="another start has taken over the sweep"):
            write()
    silent.release()
    later.check()
    assert mine.state().trials == 7
    assert mine.trial("0000").values() == {"lr": 1}


def test_an_owners_file_that_cannot_be_reached_is_no_loss(folder, impatient):
    claim = Claim(folder)
    claim.take()

    class Unreachable:
        def __getattr__(self, name):
            def fail(*_, **__):
                raise OSError("no route to the storage")

            return fail

    away = replace(claim, folder=Folder(Unreachable(), folder.path))
    with pytest.raises(StorageError, match="no route"):
        away.check()


@pytest.mark.parametrize("content", [b"", b"{}", b"[[[", b'{"token": 1}', b"\xff"])
def test_an_owners_file_that_is_damaged_is_no_owner(folder, content):
    folder.write_bytes("owner-000004.json", content)
    claim = Claim(folder)
    claim.take()
    assert claim.number == 5
    folder.write_bytes("owner-000005.json", content)
    claim._looked_at = 0.0
    with pytest.raises(SegrayError):
        claim.check()


def test_two_containers_with_one_kernel_are_two_machines():
    here = process.machine_id()
    assert here == process.machine_id()
    assert str(Path("/proc/self/ns/pid").readlink()) in here
