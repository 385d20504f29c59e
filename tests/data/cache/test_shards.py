import pickle

import numpy as np
import pytest

from segray.data.cache.shard_writer import ShardWriter
from segray.data.cache.shards import Shard
from segray.data.cache.source import Source
from segray.errors import DataError

SIZES = [(6, 8), (5, 7), (9, 4)]


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, (*size, 3), dtype=np.uint8), rng.choice(np.array([0, 1, 255], np.uint8), size))
        for size in SIZES
    ]


@pytest.fixture
def shard(tmp_path, images):
    writer = ShardWriter(tmp_path / "shard", ["a", "b", "c"], SIZES, num_classes=2)
    for index in (2, 0, 1):
        writer.put(index, *images[index])
    writer.finish()
    return Shard(tmp_path / "shard")


def test_images_of_unequal_size_come_back(shard, images):
    assert len(shard) == 3
    assert shard.names == ("a", "b", "c")
    for index, (photo, label) in enumerate(images):
        np.testing.assert_array_equal(shard.pair(index)[0], photo)
        np.testing.assert_array_equal(shard.pair(index)[1], label)


def test_class_pixels_leave_void_out(shard, images):
    expected = [sum(int((label == train_id).sum()) for _, label in images) for train_id in (0, 1)]
    assert shard.class_pixels.tolist() == expected


def test_images_are_read_only_views_of_the_mapped_file(shard):
    photo = shard.pair(1)[0]
    assert not photo.flags.owndata
    assert not photo.flags.writeable


@pytest.mark.parametrize("name", ["photos.bin", "labels.bin"])
def test_a_file_that_lost_its_end_is_refused(shard, name):
    path = shard.folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"must hold 119 pixels, but photos.bin has 35[67] bytes"):
        Shard(shard.folder)


def test_a_pickled_shard_holds_no_pixels(shard):
    data = pickle.dumps(shard)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).pair(2)[0], shard.pair(2)[0])


def test_common_size_is_none_where_sizes_differ(shard, write_shard):
    assert shard.common_size is None
    assert write_shard([(6, 8), (6, 8)], "equal").common_size == (6, 8)


@pytest.fixture
def shard_with_judged(tmp_path, images):
    writer = ShardWriter(tmp_path / "judged", ["a", "b", "c"], SIZES, num_classes=2, num_judged_classes=8)
    for index, (photo, label) in enumerate(images):
        writer.put(index, photo, label, judged=np.where(label == 0, 7, 255).astype(np.uint8))
    writer.finish()
    return Shard(tmp_path / "judged")


def test_what_predictions_are_judged_by_lies_beside_the_labels(shard_with_judged, images):
    part = shard_with_judged.subset(["c", "a"])
    np.testing.assert_array_equal(part.pair(0)[1], images[2][1])
    np.testing.assert_array_equal(part.judged(0, images[2][1]), np.where(images[2][1] == 0, 7, 255))
    assert part.judged_pixels.tolist() == [0] * 7 + [part.class_pixels[0]]


def test_predictions_are_judged_by_the_label_where_there_is_nothing_else(shard, images):
    assert not shard.has_judged
    assert shard.judged(1, images[1][1]) is images[1][1]
    assert shard.judged_pixels.tolist() == shard.class_pixels.tolist()


def test_judged_ids_that_lost_their_end_are_refused(shard_with_judged):
    path = shard_with_judged.folder / "truth.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"truth\.bin has 118 bytes"):
        Shard(shard_with_judged.folder)


def test_the_pixels_of_judged_ids_that_are_not_stored_are_counted_without_decoding(tmp_path, images):
    folder = tmp_path / "index"
    writer = ShardWriter(folder, ["a", "b", "c"], SIZES, num_classes=2, num_judged_classes=3, has_pixels=False)
    for index, (photo, label) in enumerate(images):
        writer.put(index, photo, label, judged=np.where(label == 0, 2, 255).astype(np.uint8))
    writer.finish()
    without_files = Source((), reader=None, scoring=None, resizes=False)
    shard = Shard(folder, source=without_files)
    assert shard.judged_pixels.tolist() == [0, 0, shard.class_pixels[0]]
