"""Training crops per second: decoding the PNG pair every time against segray's mapped shards.

    python benchmarks/data_loading.py [--part crops] [--images 24]
    python benchmarks/data_loading.py --part memory    # eight loaders over the same shards: data_memory.py
    python benchmarks/data_loading.py --part build     # the cache's build: cache_build.py

Photos of 2048x1024 and their labels become batches of 512x512 uint8 crops under the same policy, in one process with
one thread. The reference decodes with the faster of Pillow and OpenCV, measured first. Both sides take turns for some
rounds, and medians are compared. Time is the process's CPU time, and files and shards lie in the page cache: what is
measured is the work of a core, not the disk and not what else the machine does. A bare `numpy.memmap` with the
plainest code for the same windows, resize and pipeline shows what shards and loader add. Takes half a minute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, cycle, islice
from tempfile import TemporaryDirectory

import cache_build
import cv2
import data_memory
import numpy as np
from PIL import Image

from segray.config import DataConfig
from segray.data.batches.augmentation import POLICIES, build_pipeline
from segray.data.batches.loaders import train_loader
from segray.data.cache.shards import Shard
from segray.data.datasets import open_dataset
from segray.data.files.pair import Pair
from segray.data.preparation import prepare
from segray.data.synthetic import write_scenes
from segray.labels import IGNORE_INDEX

PHOTO_PX = (1024, 2048)
CROP_PX = (512, 512)
BATCH_SIZE = 8
ROUNDS = 7
HEADLINE_POLICY = "light"
LEAST_SHARE = 0.7
"""Share of the speed of a bare memory map, for every policy."""

Images = tuple[np.ndarray, np.ndarray]
Decoder = Callable[[Pair, np.ndarray], Images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["crops", "memory", "build"], default="crops", help="what is measured")
    parser.add_argument("--images", type=int, help=f"photos to draw, at least {BATCH_SIZE}; 24 for crops, 64 for build")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="shards to load (memory)")
    options = parser.parse_args()
    if options.part == "memory":
        print(json.dumps(data_memory.measure(options.gigabytes)))
        return
    cv2.setNumThreads(1)
    num_images = max(options.images or (24 if options.part == "crops" else 64), BATCH_SIZE)
    with TemporaryDirectory() as folder:
        print(f"drawing {num_images} photos of {PHOTO_PX[1]}x{PHOTO_PX[0]}", flush=True)
        write_scenes("cityscapes", f"{folder}/scenes", train=num_images, val=1, size_px=PHOTO_PX)
        config = DataConfig(root=f"{folder}/scenes", cache_dir=f"{folder}/cache", crop_px=CROP_PX)
        print(json.dumps(measure(config) if options.part == "crops" else cache_build.measure(config)))


def measure(config: DataConfig) -> dict[str, object]:
    dataset = open_dataset(config)
    pairs, table = dataset.official["train"], np.full(256, IGNORE_INDEX, np.uint8)
    for label_id, train_id in dataset.label_space.raw_to_train.items():
        table[label_id] = train_id
    shard = prepare(config).train
    decoder_name, decode = faster_decoder(pairs, table)
    rates = {}
    for policy in POLICIES:
        changed = config.model_copy(update={"policy": policy})
        sides: dict[str, Callable[[], int]] = {
            "reference": reference_pass(pairs, table, decode, BareCrop(policy)),
            "ours": shard_pass(shard, changed),
            "memmap": memmap_pass(shard, BareCrop(policy)),
        }
        rates[policy] = alternate(sides)
        shown = ", ".join(f"{side} {rate:.1f}" for side, rate in rates[policy].items())
        share = rates[policy]["ours"] / rates[policy]["memmap"]
        met = "met" if share >= LEAST_SHARE else "MISSED"
        print(f"{policy}: {shown} images/s per core; {share:.2f} of bare memmap, {LEAST_SHARE} {met}", flush=True)
    headline = rates[HEADLINE_POLICY]
    shares = {policy: round(sides["ours"] / sides["memmap"], 2) for policy, sides in rates.items()}
    return {
        "benchmark": "data_loading",
        "ours": round(headline["ours"], 1),
        "reference": round(headline["reference"], 1),
        "ratio": round(headline["ours"] / headline["reference"], 1),
        "unit": "images/s per core",
        "policy": HEADLINE_POLICY,
        "reference_decoder": decoder_name,
        "shares_of_bare_memmap": shares,
        "least_share_met": min(shares.values()) >= LEAST_SHARE,
        "policies": {policy: {side: round(rate, 1) for side, rate in sides.items()} for policy, sides in rates.items()},
        "images": len(pairs),
        "rounds": ROUNDS,
    }


def alternate(sides: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Median images per second of CPU time, over rounds in which the sides take turns; a first round warms up."""
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(ROUNDS + 1):
        for side, run in sides.items():
            start = time.process_time()
            num_images = run()
            if number:
                rates[side].append(num_images / (time.process_time() - start))
    return {side: statistics.median(values) for side, values in rates.items()}


def decode_with_pillow(pair: Pair, table: np.ndarray) -> Images:
    with Image.open(pair.photo) as photo, Image.open(pair.label) as label:
        return np.asarray(photo), table[np.asarray(label)]


def decode_with_opencv(pair: Pair, table: np.ndarray) -> Images:
    photo = cv2.imread(str(pair.photo), cv2.IMREAD_COLOR_RGB)
    label = cv2.imread(str(pair.label), cv2.IMREAD_GRAYSCALE)
    assert photo is not None
    assert label is not None
    return photo, cv2.LUT(label, table)


def faster_decoder(pairs: Sequence[Pair], table: np.ndarray) -> tuple[str, Decoder]:
    decoders: dict[str, Decoder] = {"Pillow": decode_with_pillow, "OpenCV": decode_with_opencv}

    def run(decode: Decoder) -> int:
        return len([decode(pair, table) for pair in pairs[:4]])

    rates = alternate({name: partial(run, decode) for name, decode in decoders.items()})
    for name, rate in rates.items():
        print(f"{name} alone decodes {rate:.1f} pairs/s", flush=True)
    fastest = max(rates, key=rates.__getitem__)
    return fastest, decoders[fastest]


def collate(images: Sequence[Images]) -> Images:
    return np.stack([photo for photo, _ in images]), np.stack([label for _, label in images])


class BareCrop:
    """The plainest code for the same crops: a window, a resize where the policy zooms, and its pipeline."""

    def __init__(self, policy: str) -> None:
        self._rng = np.random.default_rng(0)
        self._zoom = POLICIES[policy].zoom
        self._pipeline = build_pipeline(POLICIES[policy], CROP_PX)

    def __call__(self, photo: np.ndarray, label: np.ndarray) -> Images:
        scale = self._zoom ** self._rng.uniform(-1, 1)
        height, width = (round(side / scale) for side in CROP_PX)
        top, left = self._rng.integers(0, (label.shape[0] - height + 1, label.shape[1] - width + 1))
        photo, label = photo[top : top + height, left : left + width], label[top : top + height, left : left + width]
        if self._zoom > 1:
            photo = cv2.resize(photo, CROP_PX, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
            label = cv2.resize(label, CROP_PX, interpolation=cv2.INTER_NEAREST_EXACT)
        sample = self._pipeline(image=photo, mask=label)
        return sample["image"], sample["mask"]


def reference_pass(pairs: Sequence[Pair], table: np.ndarray, decode: Decoder, crop: BareCrop) -> Callable[[], int]:
    endless = cycle(pairs)

    def run() -> int:
        collate([crop(*decode(pair, table)) for pair in islice(endless, BATCH_SIZE)])
        return BATCH_SIZE

    return run


def shard_pass(shard: Shard, config: DataConfig) -> Callable[[], int]:
    loader = train_loader(shard, config, batch_size=BATCH_SIZE, seed=0)
    epochs = count(1)

    def run() -> int:
        loader.set_epoch(next(epochs))
        return sum(len(batch.indices) for batch in loader)

    return run


def memmap_pass(shard: Shard, crop: BareCrop) -> Callable[[], int]:
    height, width = PHOTO_PX
    photos = np.memmap(shard.folder / "photos.bin", np.uint8, "r", shape=(len(shard), height, width, 3))
    labels = np.memmap(shard.folder / "labels.bin", np.uint8, "r", shape=(len(shard), height, width))

    def run() -> int:
        num_batches = len(shard) // BATCH_SIZE
        for start in range(0, num_batches * BATCH_SIZE, BATCH_SIZE):
            indices = range(start, start + BATCH_SIZE)
            collate([crop(photos[index], labels[index]) for index in indices])
        return num_batches * BATCH_SIZE

    return run


if __name__ == "__main__":
    main()
