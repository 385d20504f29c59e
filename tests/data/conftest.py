import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig, FolderConfig
from segray.data.cache.shard_writer import ShardWriter


@pytest.fixture
def write_images(tmp_path):
    """Writes a `folder` data set of noise, sizes (height, width) given per split, and returns its config."""

    def write(train, val=((24, 32),), **changes):
        rng = np.random.default_rng(0)
        for split, sizes in (("train", train), ("val", val)):
            for index, size in enumerate(sizes):
                photo = tmp_path / "root/images" / split / f"{split}{index}.jpg"
                label = tmp_path / "root/labels" / split / f"{split}{index}.png"
                for path, array in (
                    (photo, rng.integers(0, 256, (*size, 3), dtype=np.uint8)),
                    (label, rng.integers(0, 3, size, dtype=np.uint8)),
                ):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(path)
        return DataConfig(
            dataset="folder",
            root=str(tmp_path / "root"),
            cache_dir=str(tmp_path / "cache"),
            folder=FolderConfig(classes=("road", "car", "sky")),
            **changes,
        )

    return write


@pytest.fixture
def write_shard(tmp_path):
    """Writes a shard of noise whose photos' red channel and labels agree, and returns it."""
    from segray.data.cache.shards import Shard

    def write(sizes, name="shard"):
        writer = ShardWriter(tmp_path / name, [f"image{i}" for i in range(len(sizes))], sizes, num_classes=4)
        rng = np.random.default_rng(1)
        for index, size in enumerate(sizes):
            label = rng.integers(0, 4, size, dtype=np.uint8)
            photo = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            photo[..., 0] = label * 60
            writer.put(index, photo, label)
        writer.finish()
        return Shard(tmp_path / name)

    return write
