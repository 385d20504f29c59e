"""Files of data sets and of the cache, damaged at random: the right images or a DataError."""

import contextlib
import io

import numpy as np
import pytest
from damage import damaged_bytes, damaged_json, fuzzed
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segray.data.cache.shard_writer import ShardWriter
from segray.data.cache.shards import Shard
from segray.data.datasets import kmeans
from segray.data.files.decode import pair_size, read_colors, read_label, read_photo
from segray.data.files.pair import Pair
from segray.errors import DataError
from segray.folder import open_folder

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 5, (6, 8), np.uint8)


def encoded(kind, mode):
    image = Image.fromarray(PIXELS).convert(mode)
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    image.save(stream, kind, exif=exif)
    return stream.getvalue()


IMAGES = [
    encoded(*kind)
    for kind in (("PNG", "L"), ("PNG", "RGB"), ("PNG", "P"), ("JPEG", "RGB"), ("TIFF", "RGB"), ("WEBP", "RGB"))
]


@pytest.mark.filterwarnings("ignore::Warning")
@fuzzed()
@given(content=st.sampled_from(IMAGES).flatmap(damaged_bytes))
def test_images(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed.png"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert read_photo(path).dtype == np.uint8
    with contextlib.suppress(DataError):
        assert read_label(path)[0].dtype == np.uint8
    with contextlib.suppress(DataError):
        assert read_colors(path).shape[2] == 3
    with contextlib.suppress(DataError):
        assert min(pair_size(Pair("x", path, path))) >= 1


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "shard"
    writer = ShardWriter(folder, ["a", "b"], [(4, 6), (6, 4)], num_classes=5)
    for index, size in enumerate([(4, 6), (6, 4)]):
        writer.put(index, RANDOM.integers(0, 255, (*size, 3), np.uint8), RANDOM.integers(0, 5, size, np.uint8))
    writer.finish()
    return folder


@fuzzed()
@given(data=st.data())
def test_cache_entries(shard, data):
    name = data.draw(st.sampled_from(["index.json", "counts.npy", "anchors.npy"]))
    before = (shard / name).read_bytes()
    strategy = damaged_json if name.endswith("json") else damaged_bytes
    (shard / name).write_bytes(data.draw(strategy(before)))
    try:
        opened = Shard(shard)
    except DataError:
        return
    finally:
        (shard / name).write_bytes(before)
    assert opened.names == ("a", "b")
    assert opened.sizes.tolist() == [[4, 6], [6, 4]]


@fuzzed()
@given(data=st.data())
def test_kmeans_fits(tmp_path_factory, data):
    fit = kmeans.ClusterFit(
        centers=((0, 0, 0), (1, 2, 3)),
        num_clusters=2,
        seed=0,
        fingerprint="f",
        num_files=1,
        num_masks=1,
        num_pixels=9,
        versions={},
    )
    folder = open_folder(tmp_path_factory.getbasetemp())
    path = tmp_path_factory.getbasetemp() / "fit.json"
    path.write_bytes(data.draw(damaged_json(fit.model_dump_json().encode())))
    with contextlib.suppress(DataError):
        centers = kmeans._read(folder, "fit.json", 2)
        assert len(set(centers)) == 2
