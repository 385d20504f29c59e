import multiprocessing
import os
import pickle
import shutil
import signal
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from segray.data.batches.loaders import train_loader
from segray.data.cache import access, fingerprint, shard_writer
from segray.data.cache.entry import Entry, entries
from segray.data.preparation import prepare
from segray.errors import DataError, ResourceError

SIZES = ((100, 100),) * 4
ENTRY_BYTES = 4 * 5 * 100 * 100
LIMIT_GB = 2.5 * ENTRY_BYTES / 1e9
"""Room for two entries of five images with their indices, not for three."""


def silent(line):
    pass


def let_go():
    """As if the processes that used the cache had ended."""
    for lock in access._in_use.values():
        lock.release()
    access._in_use.clear()
    access._announced.clear()


@pytest.fixture(autouse=True)
def alone():
    let_go()
    yield
    let_go()


@pytest.fixture
def variants(write_images):
    """Configs whose images are decoded alike but stored apart."""
    config = write_images(SIZES, val=((100, 100),), cache_limit_gb=LIMIT_GB)
    return [config.model_copy(update={"resize_px": size}) for size in (None, (50, 200), (200, 50), (25, 400))]


def stored(config):
    return {path.name for path in Path(config.cache_dir).iterdir() if path.is_dir()}


def prepare_at(config, seconds):
    folder = prepare(config, silent).train.folder
    let_go()
    os.utime(folder / "in_use", (seconds, seconds))
    return folder.name


def full_disk(monkeypatch, free=5):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, free))


def test_the_least_recently_used_entry_goes_for_a_new_one(variants):
    first, second = prepare_at(variants[0], 200), prepare_at(variants[1], 100)
    said = []
    third = prepare(variants[2], said.append).train.folder.name
    assert stored(variants[0]) == {first, third}
    assert len(said) == 2
    assert said[0].startswith(
        f"removed {second}, 0.2 MB, the least recently used: {third} needs 0.2 MB, but data.cache_"
    )


def test_opening_an_entry_is_its_use(variants):
    first, second = prepare_at(variants[0], 100), prepare_at(variants[1], 200)
    prepare(variants[0], silent)
    let_go()
    prepare(variants[2], silent)
    assert first in stored(variants[0])
    assert second not in stored(variants[0])


def test_an_entry_that_this_process_has_opened_stays_until_it_ends(variants):
    first = prepare(variants[0], silent).train.folder.name
    second = prepare_other(variants[1])
    prepare(variants[2], silent)
    assert first in stored(variants[0])
    assert second not in stored(variants[0])


def prepare_other(config):
    """In a process that ends."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_prepared_name, (config,))


def _prepared_name(config):
    return prepare(config, silent).train.folder.name


def _prepare_and_stay(config, ready):
    prepare(config, silent)
    ready.set()
    signal.pause()


def test_an_entry_in_use_is_kept_until_its_user_is_killed(variants):
    config = variants[0].model_copy(update={"cache_limit_gb": 1.5 * ENTRY_BYTES / 1e9})
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    user = context.Process(target=_prepare_and_stay, args=(config, ready))
    user.start()
    assert ready.wait(60)
    kept = stored(config)
    other = variants[1].model_copy(update={"cache_limit_gb": config.cache_limit_gb})
    said = []
    assert not prepare(other, said.append).train.has_pixels
    assert "are in use" in said[-1]
    assert kept < stored(config)
    os.kill(user.pid, signal.SIGKILL)
    user.join()
    assert prepare(other, silent).train.has_pixels
    assert not kept & stored(config)


def test_nothing_goes_for_an_entry_that_would_not_fit_anyway(variants):
    kept = {prepare_at(variants[0], 100), prepare_at(variants[1], 200)}
    large = variants[2].model_copy(update={"resize_px": (400, 400)})
    assert not prepare(large, silent).train.has_pixels
    assert kept < stored(large)


def test_nothing_goes_for_a_data_set_that_is_refused(variants):
    kept = {prepare_at(variants[0], 100), prepare_at(variants[1], 200)}
    (Path(variants[2].root) / "labels/val/val0.png").write_bytes(b"")
    fingerprint._listing.cache_clear()  # as in another process
    with pytest.raises(DataError, match=r"val0\.png: the file is empty"):
        prepare(variants[2], silent)
    assert stored(variants[2]) == kept


def test_entries_go_when_the_disk_is_full(variants, monkeypatch):
    config = variants[0].model_copy(update={"cache_limit_gb": None})
    first = prepare_at(config, 100)
    full_disk(monkeypatch)
    second = prepare(config.model_copy(update={"resize_px": (50, 50)}), silent).train
    assert second.has_pixels
    assert stored(config) == {second.folder.name}
    assert first != second.folder.name


def test_looking_for_room_is_no_use_of_an_entry(variants):
    names = [prepare_at(variants[0], 200), prepare_at(variants[1], 100)]
    files = [Path(variants[0].cache_dir) / name / "in_use" for name in names]
    large = variants[2].model_copy(update={"resize_px": (400, 400)})
    for _ in range(2):
        prepare(large, silent)
        assert [file.stat().st_mtime for file in files] == [200, 100]
        assert [file.read_bytes() for file in files] == [b"", b""]


def test_the_oldest_entry_goes_when_an_entry_without_pixels_gets_them(variants):
    upgraded = prepare_at(variants[3].model_copy(update={"cache_limit_gb": 1e-9}), 400)
    *others, last = [config.model_copy(update={"cache_limit_gb": 3.5 * ENTRY_BYTES / 1e9}) for config in variants]
    names = [prepare_at(config, 300 - 100 * place) for place, config in enumerate(others)]
    assert prepare(last, silent).train.has_pixels
    assert stored(last) == {upgraded, *names[:2]}


def test_folders_of_others_stay(variants, monkeypatch):
    config = variants[0].model_copy(update={"cache_limit_gb": None})
    mine = Path(config.cache_dir) / "holiday-photos.partial"
    mine.mkdir(parents=True)
    (mine / "photo.jpg").write_bytes(bytes(10**6))
    full_disk(monkeypatch)
    assert not prepare(config, silent).train.has_pixels
    assert (mine / "photo.jpg").exists()


def test_what_dead_builders_left_is_removed(variants):
    folder = Path(variants[0].cache_dir)
    dead = f"folder-{'0' * 20}"
    (folder / f"{dead}.partial").mkdir(parents=True)
    (folder / f"{dead}.partial/photos.bin").write_bytes(bytes(10**6))
    (folder / f"{dead}.lock").write_text("1234567 on here")
    (folder / f"folder-{'1' * 20}.lock").touch()
    name = prepare(variants[0], silent).train.folder.name
    assert {path.name for path in folder.iterdir()} == {name, "segray.lock"}


def test_without_room_images_are_decoded_on_the_fly(variants, monkeypatch):
    for resize_px in (None, (30, 40)):
        config = variants[0].model_copy(update={"resize_px": resize_px})
        expected = prepare(config, silent)
        elsewhere = config.model_copy(update={"cache_dir": f"{config.cache_dir}-full", "cache_limit_gb": 1e-9})
        flying = prepare(elsewhere, silent)
        assert expected.train.has_pixels
        assert not flying.train.has_pixels
        for split in ("train", "val"):
            ours, theirs = getattr(flying, split), getattr(expected, split)
            assert ours.names == theirs.names
            assert ours.class_pixels.tolist() == theirs.class_pixels.tolist()
            for index in range(len(theirs)):
                np.testing.assert_array_equal(ours.anchors(index), theirs.anchors(index))
                for mine, other in zip(ours.pair(index), theirs.pair(index), strict=True):
                    np.testing.assert_array_equal(mine, other)
                    assert not mine.flags.writeable
        assert sum(path.stat().st_size for path in flying.train.folder.iterdir()) < 10_000


def test_training_batches_are_the_same_on_the_fly(variants):
    batches = []
    for limit in (None, 1e-9):
        config = variants[0].model_copy(
            update={"crop_px": (32, 32), "cache_limit_gb": limit, "cache_dir": f"{variants[0].cache_dir}-{limit}"}
        )
        loader = train_loader(
            prepare(config, silent).train, config, batch_size=2, seed=3, num_workers=limit is not None
        )
        batches.append([(batch.photos_BCHW.numpy(), batch.labels_BHW.numpy()) for batch in loader])
    for stored_batch, decoded_batch in zip(*batches, strict=True):
        for expected, got in zip(stored_batch, decoded_batch, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_it_says_what_decoding_on_the_fly_costs(variants):
    config = variants[0].model_copy(update={"cache_limit_gb": 1e-9})
    said = []
    prepare(config, said.append)
    prepare(config, said.append)
    assert len(said) == 2
    assert "without storing it" in said[0]
    assert "it needs 0.2 MB, but data.cache_limit_gb 1e-09 allows for 0.0 MB" in said[1]
    assert "ms of CPU time each" in said[1]
    assert "an epoch of all 5 on" in said[1]
    assert "set data.cache_dir" in said[1]


def test_what_was_prepared_says_whether_it_was_built_and_why_it_has_no_pixels(variants):
    config = variants[0].model_copy(update={"cache_limit_gb": 1e-9})
    first, again, with_room = (prepare(config, silent), prepare(config, silent), prepare(variants[0], silent))
    assert [data.built for data in (first, again, with_room)] == [True, False, True]
    assert first.shortage == again.shortage
    assert again.shortage.startswith("it needs 0.2 MB, but data.cache_limit_gb")
    assert with_room.shortage == ""


def test_pixels_are_stored_once_there_is_room(variants):
    config = variants[0].model_copy(update={"cache_limit_gb": 1e-9})
    before = prepare(config, silent).train
    after = prepare(variants[0], silent).train
    assert after.has_pixels
    assert after.folder == before.folder
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(before)).pair(0)[0], after.pair(0)[0])


def test_who_uses_an_entry_without_pixels_keeps_it_when_it_gets_them(variants):
    config = variants[0].model_copy(update={"cache_limit_gb": 1e-9})
    kept = prepare(config, silent).train.folder.name
    users_lock = access._in_use.pop(Entry(Path(config.cache_dir) / kept))
    assert prepare_other(variants[0]) == kept
    assert (Path(config.cache_dir) / kept / "photos.bin").exists()
    for other in variants[1:]:
        prepare_other(other)
    users_lock.release()
    assert kept in stored(config)


def test_splits_are_of_the_shard_that_was_opened(variants):
    prepared = prepare(variants[0], silent)
    shutil.rmtree(prepared.train.folder)
    part = prepared.train.subset(prepared.train.names[1:3])
    np.testing.assert_array_equal(part.pair(0)[0], prepared.train.pair(1)[0])
    last, same = part.subset(part.names[1:]), prepared.train.subset(prepared.train.names[2:3])
    assert last.class_pixels.tolist() == same.class_pixels.tolist()


def test_a_disk_that_fills_up_while_decoding_leaves_the_index(variants, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_writer.PixelFiles, "create", full)
    config, said = variants[0], []
    for _ in range(2):
        train = prepare(config, said.append).train
        assert not train.has_pixels
        assert stored(config) == {train.folder.name}
    assert sum("No space left on device" in line and line.startswith("not enough room") for line in said) == 1
    assert sum(line.startswith("checking") for line in said) == 1


def test_a_disk_without_room_for_the_index_is_refused(variants, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_writer.ShardWriter, "finish", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        prepare(variants[0], silent)
    assert stored(variants[0]) == set()


def test_a_file_that_changes_its_size_later_is_named(variants):
    from PIL import Image

    config = variants[0].model_copy(update={"cache_limit_gb": 1e-9})
    train = prepare(config, silent).train
    for kind, suffix in (("images", "jpg"), ("labels", "png")):
        Image.new("L", (90, 100)).save(Path(config.root) / kind / f"train/train1.{suffix}")
    with pytest.raises(DataError, match=r"train1\.jpg: was 100x100 when it was listed, but now is 90x100"):
        train.pair(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_images_of_another_person_are_used_with_a_word_where_they_were_chosen_alone(variants, monkeypatch):
    config, said = variants[0], []
    folder = prepare(config, silent).train.folder
    let_go()
    os.chown(folder, 12345, 12345)
    prepare(config, said.append)
    assert [line for line in said if "those of user 12345, who decides what is trained on" in line]
    let_go()
    monkeypatch.setattr(access, "DEFAULT_LOCATION", folder.parent)
    assert prepare(config, said.append).built
    assert folder.stat().st_uid == os.getuid()


def test_a_link_to_a_folder_elsewhere_is_no_entry_and_its_content_stays(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "photos.bin").write_bytes(b"1")
    link = tmp_path / "cache" / f"camvid-{'0' * 20}"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "precious")
    assert entries(link.parent) == []
    Entry(link).remove()
    assert not link.is_symlink()
    assert (tmp_path / "precious" / "photos.bin").exists()
