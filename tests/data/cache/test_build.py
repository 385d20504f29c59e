import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from segray.data.cache import build, locks, shard_writer
from segray.data.cache.locks import try_lock, wait_for_lock
from segray.data.preparation import prepare
from segray.errors import ResourceError

SIZES = ((24, 32),) * 4


def silent(line):
    pass


def test_processes_build_the_same_shard_as_threads(write_images, monkeypatch):
    config = write_images(SIZES)
    expected = prepare(config, silent)
    monkeypatch.setattr(build, "num_cores", lambda: 2)
    monkeypatch.setattr(build, "MOST_THREADS", 1)
    monkeypatch.setattr(build, "PIXELS_WORTH_A_PROCESS", 1)
    # In a process this would be the module as it is.
    monkeypatch.setattr(shard_writer.PixelFiles, "write", None)
    got = prepare(config.model_copy(update={"cache_dir": f"{config.cache_dir}-2"}), silent)
    for name in ("photos.bin", "labels.bin", "counts.npy", "anchors.npy"):
        assert (got.train.folder / name).read_bytes() == (expected.train.folder / name).read_bytes()


def test_progress_counts_images(write_images):
    seen, said = [], []
    prepare(write_images(SIZES), said.append, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert len(said) == 1


def test_without_a_bar_a_line_now_and_then_says_how_far_it_is(write_images, monkeypatch):
    monkeypatch.setattr(build, "LINE_SECONDS", 0.0)
    said = []
    prepare(write_images(SIZES), said.append)
    assert said[1].startswith("decoded 1 of 5 images of folder, about 0.")
    assert len(said) == 5


def test_anchors_lie_on_their_class(write_images):
    shard = prepare(write_images(((61, 83),) * 3, val=((7, 5),), crop_px=(4, 4)), silent).train
    for index in range(len(shard)):
        label = shard.pair(index)[1]
        for class_id, pixels in enumerate(shard.anchors(index)):
            assert (label.ravel()[pixels] == class_id).all()


@pytest.mark.parametrize("run", [1, 50])
def test_class_counts_are_exact(run):
    rng = np.random.default_rng(0)
    label = np.repeat(rng.integers(0, 19, 400, dtype=np.uint8), run).reshape(20, -1)
    tally = shard_writer.PixelFiles(Path(), np.array([label.shape]), 19, 0, False).write(0, label, label, label)
    np.testing.assert_array_equal(tally.counts, np.bincount(label.ravel(), minlength=19))


def test_shared_locks_go_together_and_exclusive_ones_alone(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    first, second = try_lock(path, shared=True), try_lock(path, shared=True)
    assert first is not None
    assert second is not None
    first.release()
    assert try_lock(path) is None
    second.release()
    alone = try_lock(path)
    assert alone is not None
    assert try_lock(path, shared=True) is None
    alone.release()


def test_a_lock_on_a_file_that_was_removed_and_made_anew_holds_nothing_back(tmp_path):
    path = tmp_path / "lock"
    first = try_lock(path)
    first.release(delete=True)
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        try_lock(path, shared=True)
    second = try_lock(path)
    assert try_lock(path) is None
    second.release()


def _hold(path, ready):
    wait_for_lock(path, "decodes", silent)
    ready.set()
    time.sleep(60)


def test_a_stopped_holder_is_named_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "FIRST_WORD_SECONDS", 0.0)
    monkeypatch.setattr(locks, "REPEAT_SECONDS", 0.2)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "lock", ready))
    holder.start()
    assert ready.wait(60)
    os.kill(holder.pid, signal.SIGSTOP)
    said = []
    # SIGKILL ends a stopped process, too.
    threading.Timer(0.9, os.kill, (holder.pid, signal.SIGKILL)).start()
    wait_for_lock(tmp_path / "lock", "decodes camvid", said.append).release()
    holder.join()
    assert said[0] == f"waiting for process {holder.pid}, which decodes camvid"
    assert len(said) > 2
    assert f"still waiting for process {holder.pid}, which decodes camvid" in said[-1]
    assert "end it" in said[-1]


def test_everyone_may_lock_what_processes_meet_at(tmp_path):
    umask = os.umask(0o077)
    try:
        wait_for_lock(tmp_path / "lock", "makes room", silent).release()
    finally:
        os.umask(umask)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o666


def _refuse(path, *args, **options):
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("shared", [True, False])
def test_a_lock_file_that_may_not_be_opened_is_named_with_the_way_out(tmp_path, monkeypatch, shared):
    monkeypatch.setattr(os, "open", _refuse)
    with pytest.raises(ResourceError, match=r"lock': Permission denied; set data\.cache_dir or \$SEGRAY_CACHE"):
        wait_for_lock(tmp_path / "lock", "makes room", silent, shared=shared)


def test_a_lock_is_let_go_where_its_file_may_not_be_removed(tmp_path, monkeypatch):
    lock = try_lock(tmp_path / "lock")
    monkeypatch.setattr(Path, "unlink", _refuse)
    lock.release(delete=True)
    assert try_lock(tmp_path / "lock") is not None
