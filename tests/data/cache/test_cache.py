import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig
from segray.data import preparation
from segray.data.cache import entry, fingerprint, source
from segray.data.datasets import open_dataset
from segray.data.preparation import prepare
from segray.errors import ConfigError, DataError, ResourceError

SIZES = ((24, 32),) * 4


def silent(line):
    pass


def root_of(config):
    return Path(config.root)


def cached(config):
    """Everything in the cache but the file that processes meet at."""
    folder = Path(config.cache_dir)
    return sorted(p.name for p in folder.iterdir() if p.name != "segray.lock") if folder.exists() else []


def test_photos_and_labels_are_decoded_as_they_are(write_images):
    config = write_images(SIZES)
    prepared = prepare(config, silent)
    with Image.open(root_of(config) / "images/train/train2.jpg") as photo:
        np.testing.assert_array_equal(prepared.train.pair(2)[0], np.asarray(photo))
    with Image.open(root_of(config) / "labels/val/val0.png") as label:
        np.testing.assert_array_equal(prepared.val.pair(0)[1], np.asarray(label))
    assert prepared.train.names == ("train/train0", "train/train1", "train/train2", "train/train3")


def test_the_classes_of_validation_are_those_of_the_labels_as_they_are_judged(write_images):
    config = write_images(SIZES)
    label = np.zeros((24, 32), np.uint8)
    label[12:] = 1
    label[5, 5] = 2
    Image.fromarray(label).save(root_of(config) / "labels/val/val0.png")
    assert prepare(config, silent).val_classes == ("road", "car", "sky")
    # The only pixel of sky is gone once every third is left out.
    assert prepare(config.model_copy(update={"resize_px": (8, 8)}), silent).val_classes == ("road", "car")


def test_a_second_call_decodes_nothing(write_images):
    config = write_images(SIZES)
    said = []
    prepare(config, said.append)
    assert len(said) == 1
    prepare(config, said.append)
    assert len(said) == 1
    assert len(cached(config)) == 1


def test_it_says_what_it_decodes_and_the_space_it_takes(write_images):
    said = []
    config = write_images(((1000, 1000),) * 5)
    prepare(config, said.append)
    assert "6 images" in said[0]
    assert "20.0 MB" in said[0]
    assert config.cache_dir in said[0]


def test_a_changed_file_gives_another_shard(write_images):
    config = write_images(SIZES)
    before = prepare(config, silent).train.pair(0)[0].copy()
    path = root_of(config) / "images/train/train0.jpg"
    Image.new("RGB", (32, 24), (255, 0, 0)).save(path)
    os.utime(path, (1, 1))
    fingerprint._listing.cache_clear()  # as in another process
    after = prepare(config, silent).train.pair(0)[0]
    assert (after[..., 0] > 240).all()
    assert not np.array_equal(before, after)


def test_crop_and_policy_share_a_shard_but_sizes_do_not(write_images):
    config = write_images(SIZES)
    for changes in ({"crop_px": (8, 8)}, {"policy": "strong"}, {"resize_px": (12, 16)}):
        prepare(config.model_copy(update=changes), silent)
    assert len(cached(config)) == 2


def test_files_are_listed_once_for_all_policies_and_crops(write_images, monkeypatch):
    opened = []
    monkeypatch.setattr(fingerprint, "open_dataset", lambda config: opened.append(config) or open_dataset(config))
    config = write_images(SIZES)
    for changes in ({}, {"policy": "strong"}, {"crop_px": (8, 8)}, {"num_loader_workers": 1}):
        prepare(config.model_copy(update=changes), silent)
    assert len(opened) == 1
    prepare(config.model_copy(update={"resize_px": (12, 16)}), silent)
    assert len(opened) == 2


def _no_end(folder):
    _cut(folder / "photos.bin")


def _no_file(folder):
    (folder / "labels.bin").unlink()


def _half_an_index(folder):
    _cut(folder / "index.json")


def _foreign_index(folder):
    (folder / "index.json").write_text("{}")


@pytest.mark.parametrize("damage", [_no_end, _no_file, _half_an_index, _foreign_index])
def test_damaged_shards_are_built_anew(write_images, damage):
    config = write_images(SIZES)
    before = prepare(config, silent)
    expected, folder = before.train.pair(3)[0].copy(), before.train.folder
    damage(folder)
    said = []
    after = prepare(config, said.append)
    assert [line.split()[0] for line in said] == ["decoding"]
    assert after.train.folder == folder
    np.testing.assert_array_equal(after.train.pair(3)[0], expected)
    assert cached(config) == [folder.name]


def test_shards_are_on_the_disk_before_they_get_their_name(write_images, monkeypatch):
    events = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda fd: events.append(Path(f"/proc/self/fd/{fd}").readlink()) or fsync(fd))
    monkeypatch.setattr(Path, "rename", lambda path, target: events.append("rename") or rename(path, target))
    folder = prepare(write_images(SIZES), silent).train.folder
    partial = folder.with_name(f"{folder.name}.partial")
    written = {partial / path.relative_to(folder) for path in folder.rglob("*")}
    assert len(written) == 6
    assert set(events[: events.index("rename")]) == {*written, partial}


def test_the_environment_names_the_cache(write_images, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGRAY_CACHE", str(tmp_path / "elsewhere"))
    prepared = prepare(write_images(SIZES).model_copy(update={"cache_dir": None}), silent)
    assert prepared.train.folder.is_relative_to(tmp_path / "elsewhere")


def test_paths_are_absolute_for_processes_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = preparation.with_absolute_paths(DataConfig(root="~/camvid", cache_dir="cache"))
    assert (config.root, config.cache_dir) == (str(tmp_path / "home/camvid"), str(tmp_path / "cache"))
    assert preparation.with_absolute_paths(DataConfig()) == DataConfig()


def test_photo_and_label_are_resized_alike(write_images):
    config = write_images(SIZES, resize_px=(12, 16))
    mask = np.zeros((24, 32), np.uint8)
    mask[8:16, 4:20] = 1
    folder = root_of(config)
    Image.fromarray(mask).save(folder / "labels/val/val0.png")
    Image.fromarray(np.stack([mask * 255] * 3, -1)).save(folder / "images/val/val0.jpg", quality=100)
    prepared = prepare(config, silent)
    assert prepared.train.common_size == (12, 16)
    np.testing.assert_array_equal(prepared.val.pair(0)[0][..., 1] > 127, prepared.val.pair(0)[1] == 1)


def _prepare_and_tell(config, barrier, queue):
    barrier.wait()
    said = []
    prepared = prepare(config, said.append)
    queue.put((sum(line.startswith("decoding") for line in said), int(prepared.train.pair(0)[0].sum())))


def test_two_processes_build_once(write_images):
    config = write_images(SIZES)
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_prepare_and_tell, args=(config, barrier, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(built for built, _ in results) == [0, 1]
    assert results[0][1] == results[1][1]


def _build_slowly(config, started):
    def stuck(*images):
        started.set()
        time.sleep(60)

    source.resize_pair = stuck
    prepare(config, silent)


def test_a_builder_that_was_killed_is_replaced(write_images):
    config = write_images(SIZES)
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    builder = context.Process(target=_build_slowly, args=(config, started))
    builder.start()
    assert started.wait(60)
    os.kill(builder.pid, signal.SIGKILL)
    builder.join()
    assert [name for name in cached(config) if name.endswith(".partial")]
    assert len(prepare(config, silent).train) == 4
    assert len(cached(config)) == 1


def test_a_cache_that_cannot_be_made_is_refused(write_images, tmp_path):
    (tmp_path / "file").write_text("")
    config = write_images(SIZES).model_copy(update={"cache_dir": str(tmp_path / "file")})
    with pytest.raises(ConfigError, match=r"set data\.cache_dir or \$SEGRAY_CACHE"):
        prepare(config, silent)


def test_decoded_images_that_may_not_be_read_are_named_with_the_way_out(write_images, monkeypatch):
    def refuse(folder, **options):
        raise PermissionError(13, "Permission denied")

    config = write_images(SIZES)
    prepare(config, silent)
    monkeypatch.setattr(entry, "Shard", refuse)
    with pytest.raises(ResourceError, match=r"Permission denied; .* set data\.cache_dir or \$SEGRAY_CACHE"):
        prepare(config, silent)


def _cut(path, keep=0.6):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def _empty(path):
    path.write_bytes(b"")


def _garbage(path):
    path.write_bytes(b"this is no image" * 20)


def _wrong_value(path):
    label = np.zeros((24, 32), np.uint8)
    label[3, 5:8] = (77, 200, 77)
    Image.fromarray(label).save(path)


def _other_size(path):
    Image.new("L", (30, 24)).save(path)


def _three_channels(path):
    Image.new("RGB", (32, 24)).save(path)


def _sixteen_bits(path):
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(path)


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        ("images", _cut, r"train1\.jpg: does not decode: .*truncated"),
        ("labels", _cut, r"train1\.png: does not decode"),
        ("images", _empty, r"train1\.jpg: the file is empty"),
        ("labels", _garbage, r"train1\.png: does not decode: cannot identify"),
        ("labels", _wrong_value, r"train1\.png: holds label values .*: 77, 200$"),
        ("labels", _other_size, r"train1\.png: a label must have its image's size, but is 30x24 .* 32x24"),
        ("labels", _three_channels, r"train1\.png: a label must be an 8-bit PNG with one channel.* RGB"),
        ("labels", _sixteen_bits, r"train1\.png: a label must have 8 bits a channel, but has 16"),
        ("images", _sixteen_bits, r"train1\.jpg: a photo must have 8 bits a channel"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(write_images, kind, damage, message):
    config = write_images(SIZES)
    path = root_of(config) / kind / "train" / ("train1.jpg" if kind == "images" else "train1.png")
    if damage is _sixteen_bits and kind == "images":
        path.unlink()
        path = path.with_suffix(".png")
        message = message.replace("jpg", "png")
    damage(path)
    with pytest.raises(DataError, match=message):
        prepare(config, silent)
    assert cached(config) == []


def test_all_files_that_cannot_be_used_are_named_at_once(write_images):
    config = write_images(SIZES)
    root = root_of(config)
    _cut(root / "images/train/train0.jpg")
    _wrong_value(root / "labels/train/train0.png")
    _empty(root / "images/train/train3.jpg")
    _cut(root / "labels/val/val0.png")
    with pytest.raises(DataError, match="4 files of folder cannot be used") as error:
        prepare(config, silent)
    for name in ("train0.jpg", "train0.png", "train3.jpg", "val0.png"):
        assert name in str(error.value)


def test_splits_without_a_usable_pair_are_named_like_others(write_images):
    config = write_images(SIZES)
    root = root_of(config)
    for index in range(4):
        _other_size(root / f"labels/train/train{index}.png")
    _garbage(root / "images/val/val0.jpg")
    with pytest.raises(DataError, match="5 files of folder cannot be used") as error:
        prepare(config, silent)
    for name in ("train0.png", "train1.png", "train2.png", "train3.png", "val0.jpg"):
        assert name in str(error.value)
    assert cached(config) == []


def test_links_to_nowhere_are_all_named(write_images):
    config = write_images(SIZES)
    links = [root_of(config) / path for path in ("images/train/train1.jpg", "labels/val/val0.png")]
    for link in links:
        link.unlink()
        link.symlink_to("nowhere")
    with pytest.raises(DataError, match="2 files of folder cannot be used") as error:
        prepare(config, silent)
    for link in links:
        assert f"{link}: cannot be read: No such file or directory" in str(error.value)


def test_a_palette_label_counts_by_its_indices(write_images):
    config = write_images(SIZES)
    indices = np.full((24, 32), 2, np.uint8)
    indices[5, 5] = 1
    label = Image.fromarray(indices, "P")
    label.putpalette([9, 8, 7] * 256)
    label.save(root_of(config) / "labels/val/val0.png")
    np.testing.assert_array_equal(prepare(config, silent).val.pair(0)[1], indices)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": "lite"}, "did you mean 'light'"),
        ({"dataset": "foldr"}, "did you mean 'folder'"),
        ({"crop_px": (0, 8)}, r"data\.crop_px must be .* at least 1, but got \[0, 8\]"),
        ({"resize_px": (8, -8)}, r"data\.resize_px must be .* at least 1"),
    ],
)
def test_a_config_that_cannot_work_is_refused(write_images, changes, message):
    config = write_images(SIZES).model_copy(update=changes)
    with pytest.raises(ConfigError, match=message):
        prepare(config, silent)
    assert cached(config) == []


def test_images_of_several_sizes_are_stored_as_they_are(write_images):
    assert prepare(write_images(((24, 32), (20, 30))), silent).train.common_size is None
