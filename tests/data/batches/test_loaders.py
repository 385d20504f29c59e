import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from segray.config import DataConfig
from segray.data.batches.loaders import train_loader, val_loader
from segray.data.preparation import prepare
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX

CONFIG = DataConfig(crop_px=(16, 16), policy="medium")


@pytest.fixture
def shard(write_shard):
    return write_shard([(24, 32)] * 11)


def epoch(loader, number=1):
    loader.set_epoch(number)
    return list(loader)


def test_a_batch_is_uint8_with_channels_last_strides(shard):
    batch = epoch(train_loader(shard, CONFIG, batch_size=4, seed=0))[0]
    assert batch.photos_BCHW.shape == (4, 3, 16, 16)
    assert batch.labels_BHW.shape == (4, 16, 16)
    assert batch.photos_BCHW.dtype == batch.labels_BHW.dtype == torch.uint8
    assert batch.photos_BCHW.is_contiguous(memory_format=torch.channels_last)


def test_an_epoch_drops_the_last_incomplete_batch(shard):
    loader = train_loader(shard, CONFIG, batch_size=4, seed=0)
    batches = epoch(loader)
    assert len(loader) == len(batches) == 2
    assert all(len(batch.indices) == 4 for batch in batches)


def test_ranks_share_an_epoch_without_overlap(shard):
    ranks = [epoch(train_loader(shard, CONFIG, batch_size=4, seed=0, rank=r, world_size=2)) for r in range(2)]
    assert [len(batches) for batches in ranks] == [2, 2]
    seen = [index for batches in ranks for batch in batches for index in batch.indices]
    assert len(set(seen)) == len(seen) == 8


def test_two_ranks_train_on_the_batches_of_one(shard):
    alone = [set(batch.indices) for batch in epoch(train_loader(shard, CONFIG, batch_size=4, seed=0))]
    ranks = [epoch(train_loader(shard, CONFIG, batch_size=4, seed=0, rank=r, world_size=2)) for r in range(2)]
    assert [set(a.indices) | set(b.indices) for a, b in zip(*ranks, strict=True)] == alone


def test_a_batch_that_does_not_divide_gives_the_first_ranks_one_image_more(shard):
    alone = [set(batch.indices) for batch in epoch(train_loader(shard, CONFIG, batch_size=5, seed=0))]
    ranks = [epoch(train_loader(shard, CONFIG, batch_size=5, seed=0, rank=r, world_size=3)) for r in range(3)]
    assert [[len(batch.indices) for batch in batches] for batches in ranks] == [[2, 2], [2, 2], [1, 1]]
    assert all(batch.photos_BCHW.shape[0] == len(batch.indices) for batches in ranks for batch in batches)
    together = [set().union(*(batch.indices for batch in batches)) for batches in zip(*ranks, strict=True)]
    assert together == alone


def photos(batches):
    return np.concatenate([batch.photos_BCHW.numpy() for batch in batches])


def test_order_and_augmentation_change_with_the_epoch(shard):
    loader = train_loader(shard, CONFIG, batch_size=11, seed=0)
    (first,), (second,) = epoch(loader, 1), epoch(loader, 2)
    assert first.indices != second.indices
    assert sorted(first.indices) == sorted(second.indices)
    by_image = dict(zip(first.indices, first.photos_BCHW, strict=True))
    same = [torch.equal(by_image[i], photo) for i, photo in zip(second.indices, second.photos_BCHW, strict=True)]
    assert sum(same) <= 1


def test_a_run_repeats_and_another_seed_does_not(shard):
    def run(seed):
        return photos(epoch(train_loader(shard, CONFIG, batch_size=4, seed=seed), 3))

    np.testing.assert_array_equal(run(5), run(5))
    assert not np.array_equal(run(5), run(6))


def test_transforms_of_a_sample_are_drawn_independently(shard):
    loader = train_loader(shard, DataConfig(policy="light"), batch_size=11, seed=0)
    seen = set()
    for number in range(1, 5):
        (batch,) = epoch(loader, number)
        for photo, label, index in zip(photos([batch]), batch.labels_BHW.numpy(), batch.indices, strict=True):
            is_mirrored = not np.array_equal(label, shard.pair(index)[1])
            unmirrored = photo.transpose(1, 2, 0)[:, :: -1 if is_mirrored else 1]
            seen.add((is_mirrored, np.array_equal(unmirrored, shard.pair(index)[0])))
    assert seen == {(False, False), (False, True), (True, False), (True, True)}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_loading_draws_nothing_from_the_generator_of_the_model(shard, num_workers):
    train = train_loader(shard, CONFIG, batch_size=4, seed=0, num_workers=num_workers)
    val = val_loader(shard, batch_size=4, num_workers=num_workers)
    before = torch.get_rng_state()
    for loader in (train, val):
        list(loader)
    assert torch.equal(torch.get_rng_state(), before)


def test_loader_processes_give_the_same_batches(shard):
    expected = train_loader(shard, CONFIG, batch_size=2, seed=0)
    loader = train_loader(shard, CONFIG, batch_size=2, seed=0, num_workers=2)
    for number in (1, 2):
        here, there = epoch(expected, number), epoch(loader, number)
        assert [batch.indices for batch in here] == [batch.indices for batch in there]
        np.testing.assert_array_equal(photos(here), photos(there))
        assert there[0].photos_BCHW.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("batch_size", [0, 1, 12])
def test_a_batch_size_that_cannot_work_is_refused(shard, batch_size):
    message = rf"from 2, the number of workers, to 11, the number of training images, but got {batch_size}$"
    with pytest.raises(ConfigError, match=message):
        train_loader(shard, CONFIG, batch_size=batch_size, seed=0, world_size=2)


def test_padding_arrives_as_void(shard):
    config = CONFIG.model_copy(update={"crop_px": (64, 64), "policy": "none"})
    labels = epoch(train_loader(shard, config, batch_size=4, seed=0))[0].labels_BHW
    assert (labels == IGNORE_INDEX).float().mean().item() == pytest.approx(1 - 24 * 32 / 64**2)


@pytest.mark.parametrize("world_size", [1, 2, 3, 20])
def test_every_val_image_comes_once_over_all_ranks(shard, world_size):
    loaders = [val_loader(shard, batch_size=2, rank=r, world_size=world_size) for r in range(world_size)]
    assert sorted(index for loader in loaders for batch in loader for index in batch.indices) == list(range(11))


def test_val_images_come_whole_and_unchanged(shard):
    for batch in val_loader(shard, batch_size=4):
        for photo, label, index in zip(batch.photos_BCHW, batch.labels_BHW, batch.indices, strict=True):
            np.testing.assert_array_equal(photo.permute(1, 2, 0).numpy(), shard.pair(index)[0])
            np.testing.assert_array_equal(label.numpy(), shard.pair(index)[1])


def test_val_images_of_unequal_size_come_one_a_batch(write_shard):
    shard = write_shard([(24, 32), (20, 30), (24, 32)])
    assert [batch.labels_BHW.shape for batch in val_loader(shard, batch_size=8)] == [
        (1, 24, 32),
        (1, 20, 30),
        (1, 24, 32),
    ]


KILLED_TRAINER = """
import multiprocessing, os, signal, sys
from pathlib import Path
from segray.data.batches.loaders import val_loader
from segray.data.cache.shards import Shard

if __name__ == "__main__":
    loader = val_loader(Shard(Path(sys.argv[1])), batch_size=2, num_workers=1)
    iterator = iter(loader)
    next(iterator)
    print(*[worker.pid for worker in multiprocessing.active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_loader_processes_end_when_their_trainer_is_killed(shard, tmp_path):
    script = tmp_path / "trainer.py"
    script.write_text(KILLED_TRAINER)
    trainer = subprocess.run([sys.executable, str(script), str(shard.folder)], stdout=subprocess.PIPE, text=True)
    (worker,) = map(int, trainer.stdout.split())
    deadline = time.monotonic() + 20
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(worker)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_batch_that_is_still_held_is_not_overwritten(shard):
    loader = train_loader(shard, CONFIG, batch_size=2, seed=0)
    held, copies = [], []
    for batch in epoch(loader):
        held.append(batch.photos_BCHW[1:])
        copies.append(batch.photos_BCHW[1:].clone())
    epoch(loader, 2)
    assert all(torch.equal(photo, copy) for photo, copy in zip(held, copies, strict=True))


def test_memory_of_a_dropped_batch_is_used_again(shard):
    loader = train_loader(shard, CONFIG, batch_size=2, seed=0)
    places = set()
    for batch in loader:
        places.add(batch.photos_BCHW.data_ptr())
    assert len(loader) == 5
    assert len(places) == 2


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("trains", [True, False])
def test_a_file_that_breaks_later_is_one_sentence(write_images, trains, num_workers):
    config = write_images(((24, 32),) * 2, val=((24, 32),) * 2, crop_px=(8, 8), cache_limit_gb=1e-9)
    prepared = prepare(config, lambda line: None)
    for split in ("train", "val"):
        (Path(config.root) / "labels" / split / f"{split}1.png").write_bytes(b"")
    loader = (
        train_loader(prepared.train, config, batch_size=2, seed=0, num_workers=num_workers)
        if trains
        else val_loader(prepared.val, batch_size=2, num_workers=num_workers)
    )
    with pytest.raises(DataError) as error:
        list(loader)
    assert str(error.value).endswith("1.png: the file is empty")
    assert "\n" not in str(error.value)
