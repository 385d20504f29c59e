"""Memory of eight loader processes over the same shards: the data once, or eight times?

    python benchmarks/data_loading.py --part memory [--gigabytes 2]

Eight loaders of one process each go over all images of a shard of noise, one image of 2048x1024 a batch; the reference
are eight loaders over a shard of one image. Compared is the proportional set size (PSS) summed over the eight processes
once they are through: a page that several processes map counts once, in shares. Linux only. Takes about a minute, and
the data's size on the disk and in the page cache.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from segray.data.batches.loaders import val_loader
from segray.data.cache.shard_writer import ShardWriter
from segray.data.cache.shards import Shard

PHOTO_PX = (1024, 2048)
IMAGE_BYTES = 4 * PHOTO_PX[0] * PHOTO_PX[1]
NUM_LOADERS = 8
MOST_COPIES = 1.2


def measure(gigabytes: float) -> dict[str, object]:
    with TemporaryDirectory() as folder:
        print(f"writing {gigabytes:g} GB of noise", flush=True)
        large = write_noise(Path(folder) / "large", max(1, round(gigabytes * 1e9 / IMAGE_BYTES)))
        small = write_noise(Path(folder) / "small", 1)
        without, with_data = loaders_pss(small), loaders_pss(large)
    copies = (with_data - without) / (len(large) * IMAGE_BYTES)
    return {
        "benchmark": "data_memory",
        "ours": round((with_data - without) / 1e9, 2),
        "reference": round(len(large) * IMAGE_BYTES / 1e9, 2),
        "ratio": round(copies, 2),
        "unit": "GB",
        "target": MOST_COPIES,
        "met": copies <= MOST_COPIES,
        "loaders": NUM_LOADERS,
        "loaders_without_data_gb": round(without / 1e9, 2),
        "loaders_with_data_gb": round(with_data / 1e9, 2),
    }


def write_noise(folder: Path, num_images: int) -> Shard:
    writer = ShardWriter(folder, [f"image{i}" for i in range(num_images)], [PHOTO_PX] * num_images, num_classes=19)
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (*PHOTO_PX, 3), dtype=np.uint8)
    label = rng.integers(0, 19, PHOTO_PX, dtype=np.uint8)
    for index in range(num_images):
        writer.put(index, photo, label)
    writer.finish()
    return Shard(folder)


def loaders_pss(shard: Shard) -> int:
    """Bytes that eight loader processes take once each has given every image of a shard."""
    loaders = [val_loader(shard, batch_size=1, num_workers=1) for _ in range(NUM_LOADERS)]
    for batches in zip(*loaders, strict=True):
        assert len(batches) == NUM_LOADERS
    processes = multiprocessing.active_children()
    assert len(processes) == NUM_LOADERS
    total = sum(pss_bytes(process.pid) for process in processes)
    for process in processes:
        process.terminate()
        process.join()
    print(f"{NUM_LOADERS} loaders over {len(shard)} images: {total / 1e9:.2f} GB", flush=True)
    return total


def pss_bytes(pid: int | None) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
