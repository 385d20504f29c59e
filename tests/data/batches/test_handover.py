"""Batches that loader processes cannot hand over: the reader hears why, and never waits for ever."""

import os
import resource
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from segray.config import DataConfig
from segray.data.batches import handover
from segray.data.batches.handover import check_shared_memory
from segray.data.batches.loaders import Batch, _loader, train_loader, val_loader
from segray.errors import ResourceError

MB = 10**6


@pytest.fixture
def shared_memory(monkeypatch):
    """Shared memory of 64 MB with as much free as the test says."""

    def free(num_bytes):
        status = SimpleNamespace(f_frsize=1, f_bavail=num_bytes, f_blocks=64 * MB)
        monkeypatch.setattr(handover.os, "statvfs", lambda path: status)

    return free


def test_batches_that_do_not_fit_are_refused_with_what_to_do(shared_memory):
    shared_memory(50 * MB)
    check_shared_memory(16 * MB, num_batches=3, num_workers=2)
    check_shared_memory(60 * MB, num_batches=9, num_workers=0)
    with pytest.raises(ResourceError) as error:
        check_shared_memory(16 * MB, num_batches=4, num_workers=2)
    told = str(error.value)
    assert "\n" not in told
    assert "the loader processes (2) keep up to 4 batches of 16.0 MB in shared memory" in told
    assert "/dev/shm has 50.0 MB free of 64.0 MB" in told
    assert "docker run --shm-size=8g" in told
    assert "data.num_loader_workers=0" in told


def test_training_and_validation_loaders_look_at_shared_memory_before_they_start(write_shard, shared_memory):
    shard = write_shard([(24, 32)] * 11)
    config = DataConfig(policy="none")
    # 4 images of 24 x 32 pixels, of which 2 of 3 batches of an epoch are full
    shared_memory(handover.SPARE_BYTES + 2 * 4 * 24 * 32 * 4)
    train_loader(shard, config, batch_size=4, seed=0, num_workers=1)
    with pytest.raises(ResourceError, match=r"the loader processes \(1\) keep up to 3 batches"):
        val_loader(shard, batch_size=4, num_workers=1)
    shared_memory(handover.SPARE_BYTES)
    with pytest.raises(ResourceError, match=r"the loader processes \(1\) keep up to 2 batches"):
        train_loader(shard, config, batch_size=4, seed=0, num_workers=1)
    train_loader(shard, config, batch_size=4, seed=0, num_workers=0)


def small(_):
    return Batch(torch.zeros((1, 3, 8, 8), dtype=torch.uint8), torch.zeros((1, 8, 8), dtype=torch.uint8), [0])


def without_room(picks):
    # tmpfs refuses files above a process's own limit just as it refuses them when it is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    photos = torch.from_numpy(np.zeros((1, 3, 64, 64), np.uint8))
    return small(picks)._replace(photos_BCHW=photos)


def killed(picks):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (
            without_room,
            "cannot hand over a batch of 0.0 MB in shared memory: /dev/shm has .* data.num_loader_workers=0",
        ),
        (killed, r"loader process ended unexpectedly \(process \d+ was ended by SIGKILL\).* train.batch_size"),
    ],
)
def test_a_batch_that_never_comes_ends_the_wait(load, told):
    with pytest.raises(ResourceError, match=told):
        list(_loader(load, [[0], [1], [2]], 1, False, 0))
