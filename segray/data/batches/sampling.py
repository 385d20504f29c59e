"""Draws training samples from the images of a shard: window, crop and augmentation."""

from __future__ import annotations

import hashlib
import random
import struct

import numpy as np
from numpy.typing import NDArray

from segray.config import DataConfig
from segray.data.batches.augmentation import build_pipeline, strengths, training_size
from segray.data.batches.window import cut, draw_window
from segray.data.cache.shards import Shard


class TrainSamples:
    """Draws training samples, which depend on seed, epoch and image alone, not on the process that draws them.

    Args:
        shard: The training split.
        config: Says how to sample, by `policy`, `augment`, `crop_px` and `rare_class_crops`.
        seed: Seed of all random choices.

    Raises:
        ConfigError: The policy is unknown, or images without a crop differ in size.
    """

    def __init__(self, shard: Shard, config: DataConfig, seed: int) -> None:
        augment = strengths(config)
        self.size_px = training_size(shard, config.crop_px)
        """(height, width) of every sample"""
        self._shard = shard
        self._seed = seed
        self._zoom = augment.zoom
        self._pipeline = build_pipeline(augment, self.size_px)
        self._rare_class_crops = config.rare_class_crops
        self._rarity = rarity(shard.class_pixels)
        self._generator = np.random.Generator(np.random.PCG64())
        self._random = random.Random()
        # All transforms share these generators. set_random_seed would give each transform an equal stream of its own,
        # so that exactly the mirrored photos would be brightened.
        self._pipeline.set_random_state(self._generator, self._random)

    def draw(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return photo (height, width, 3) and label (height, width) of one image; they may be views of the shard."""
        self._reseed(epoch, index)
        photo, label = self._shard.pair(index)
        anchor = self._rare_pixel(index, label.shape[1]) if self._rare_class_crops else None
        window = draw_window(self._generator, label.shape, self.size_px, self._zoom, anchor)
        photo, label = cut(photo, label, window, self.size_px)
        sample = self._pipeline(image=photo, mask=label)
        return sample["image"], sample["mask"]

    def _rare_pixel(self, index: int, width: int) -> tuple[int, int] | None:
        """Return (row, column) of a pixel of a class drawn by rarity; None for a window anywhere."""
        anchors = self._shard.anchors(index)
        weights = self._rarity * (anchors[:, 0] >= 0)
        if self._generator.random() >= self._rare_class_crops or not weights.any():
            return None
        class_id = self._generator.choice(len(weights), p=weights / weights.sum())
        row, column = divmod(int(self._generator.choice(anchors[class_id])), width)
        return row, column

    def _reseed(self, epoch: int, index: int) -> None:
        # Setting the state is ten times faster than making new generators, which takes longer than copying a crop.
        digest = hashlib.blake2b(struct.pack("<QQQ", self._seed, epoch, index), digest_size=40).digest()
        state, stream = int.from_bytes(digest[:16]), int.from_bytes(digest[16:32]) | 1
        self._generator.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": stream},
            "has_uint32": 0,
            "uinteger": 0,
        }
        self._random.seed(int.from_bytes(digest[32:]))


def rarity(class_pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weight of each class in the draw of rare classes, 1 / ln(1.02 + share of pixels): from 1.4 to 50.

    These are the class weights of ENet (Paszke et al. 2016, arXiv:1606.02147), used here for crops.

    Args:
        class_pixels: Pixels of each class, shape (classes,).
    """
    weights: NDArray[np.float64] = 1 / np.log(1.02 + class_pixels / max(class_pixels.sum(), 1))
    return weights
