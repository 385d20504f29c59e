"""Shards -> batches. What a sample looks like depends on seed, epoch and image alone, not on who loads it."""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from segray.config import DataConfig
from segray.data.batches.handover import PREFETCHED, HandingOver, Receiving, check_shared_memory
from segray.data.batches.sampling import TrainSamples
from segray.data.cache.shards import Shard
from segray.data.files.pair import Images
from segray.errors import ConfigError
from segray.process import end_with_parent

_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's malloc.h: blocks of this size and more are taken from the system, and given back when they are freed."""

PAIR_BYTES_PER_PX: Final = 4
"""Of a photo's three channels and its label"""


class Batch(NamedTuple):
    """Some images of a shard."""

    photos_BCHW: torch.Tensor
    """uint8 RGB with channels-last strides"""
    labels_BHW: torch.Tensor
    """uint8 training ids, 255 for void"""
    indices: list[int]
    """Which images of the shard they are"""
    truth_BHW: torch.Tensor | None = None
    """uint8 ids that predictions are judged by, 255 for void; None in training, and where these are the labels"""


class _Picks(NamedTuple):
    epoch: int
    indices: list[int]


def train_loader(
    shard: Shard,
    config: DataConfig,
    *,
    batch_size: int,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> TrainLoader:
    """Endless supply of augmented training batches, one epoch an iteration.

    Args:
        shard: The training split.
        config: Its `policy`, `augment`, `crop_px` and `rare_class_crops` count here.
        batch_size: Images a batch over all ranks; the first ranks get one more where it does not divide.
        seed: Of order and augmentation.
        rank: Which of the ranks that share an epoch's images this one is.
        world_size: How many share them.
        num_workers: Loader processes; 0 loads in this one.
        pin_memory: Whether batches lie in page-locked memory, for copies to a GPU.

    Raises:
        ConfigError: The batch is larger than the split, the policy is unknown, or images without a crop differ in size.
        ResourceError: Loader processes need more shared memory than there is.
    """
    if not world_size <= batch_size <= len(shard):
        raise ConfigError(
            f"train.batch_size must lie from {world_size}, the number of workers, to {len(shard)}, the number of "
            f"training images, but got {batch_size}"
        )
    order = _TrainOrder(len(shard), batch_size, seed, rank, world_size)
    batches = _TrainBatches(
        TrainSamples(shard, config, seed), batch_size // world_size + (rank < batch_size % world_size)
    )
    return TrainLoader(order, _loader(batches, order, num_workers, pin_memory, batches.num_bytes))


def val_loader(
    shard: Shard,
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
    pin_memory: bool = False,
) -> Iterable[Batch]:
    """Whole images in order, each once over all ranks; images that differ in size come one a batch.

    Args:
        shard: The validation split.
        batch_size: Most images in a batch.
        rank: Which of the ranks that share the images this one is.
        world_size: How many share them.
        num_workers: Loader processes; 0 loads in this one.
        pin_memory: Whether batches lie in page-locked memory, for copies to a GPU.

    Raises:
        ResourceError: Loader processes need more shared memory than there is.
    """
    mine = list(range(rank, len(shard), world_size))
    step = batch_size if shard.common_size else 1
    batches = [mine[start : start + step] for start in range(0, len(mine), step)]
    largest = max((int(shard.sizes[picks].prod(axis=1).sum()) for picks in batches), default=0)
    bytes_per_px = PAIR_BYTES_PER_PX + shard.has_truth
    return _loader(_WholeBatches(shard), batches, num_workers, pin_memory, largest * bytes_per_px)


class TrainLoader:
    """Iterating gives the batches of one epoch; the order and the augmentation change with `set_epoch`."""

    def __init__(self, order: _TrainOrder, loader: Iterable[Batch]) -> None:
        self._order = order
        self._loader = loader

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives."""
        self._order.epoch = epoch

    def __len__(self) -> int:
        """Batches an epoch, the same on every rank."""
        return len(self._order)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)


class _TrainOrder:
    """The batches of an epoch for one rank; what is left after the last full batch over all ranks is dropped."""

    def __init__(self, num_images: int, batch_size: int, seed: int, rank: int, world_size: int) -> None:
        self.epoch = 1
        self._num_images = num_images
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world_size = world_size

    def __len__(self) -> int:
        return self._num_images // self._batch_size

    def __iter__(self) -> Iterator[_Picks]:
        order = np.random.default_rng((self._seed, self.epoch)).permutation(self._num_images)
        for batch in order[: len(self) * self._batch_size].reshape(len(self), self._batch_size):
            yield _Picks(self.epoch, np.array_split(batch, self._world_size)[self._rank].tolist())


class _TrainBatches:
    """Picks -> augmented batch. The epoch travels with the picks: loader processes outlive epochs."""

    def __init__(self, samples: TrainSamples, batch_size: int) -> None:
        self._samples = samples
        shape = (batch_size, *samples.size_px)
        self._photos, self._labels = _Memory((*shape, 3)), _Memory(shape)
        self.num_bytes = math.prod(shape) * PAIR_BYTES_PER_PX
        """Of a batch"""

    def __call__(self, picks: _Picks) -> Batch:
        drawn = (self._samples.draw(picks.epoch, index) for index in picks.indices)
        return _batch(drawn, self._photos.array(), self._labels.array(), picks.indices)


class _Memory:
    """Arrays of one shape, each used again once nobody holds the batch that it was part of.

    To have the system hand out empty pages for every batch took as long as cutting its crops.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._arrays: list[tuple[NDArray[np.uint8], weakref.ref[NDArray[np.uint8]]]] = []

    def array(self) -> NDArray[np.uint8]:
        """An array of arbitrary content, which is free again when it and all tensors made of it are gone."""
        place = next((place for place, (_, user) in enumerate(self._arrays) if user() is None), len(self._arrays))
        array = self._arrays[place][0] if place < len(self._arrays) else np.empty(self._shape, np.uint8)
        # A tensor keeps alive the very object that it was made of, which is this view.
        view = array.view()
        self._arrays[place : place + 1] = [(array, weakref.ref(view))]
        return view


class _WholeBatches:
    """Indices -> batch of whole images."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def __call__(self, indices: list[int]) -> Batch:
        shape = (len(indices), *self._shard.sizes[indices[0]].tolist())
        photos_BHWC, labels_BHW = np.empty((*shape, 3), np.uint8), np.empty(shape, np.uint8)
        batch = _batch(map(self._shard.pair, indices), photos_BHWC, labels_BHW, indices)
        if not self._shard.has_truth:
            return batch
        return batch._replace(truth_BHW=torch.from_numpy(np.stack([self._shard.truth(index) for index in indices])))


def _batch(
    images: Iterable[Images], photos_BHWC: NDArray[np.uint8], labels_BHW: NDArray[np.uint8], indices: list[int]
) -> Batch:
    for (photo, label), photo_HWC, label_HW in zip(images, photos_BHWC, labels_BHW, strict=True):
        photo_HWC[...], label_HW[...] = photo, label
    return Batch(torch.from_numpy(photos_BHWC).permute(0, 3, 1, 2), torch.from_numpy(labels_BHW), indices)


def _loader(
    load: Callable[[Any], Batch],
    picks: _TrainOrder | list[list[int]],
    num_workers: int,
    pin_memory: bool,
    batch_bytes: int,
) -> Receiving[Batch]:
    _one_thread()
    check_shared_memory(batch_bytes, len(picks), num_workers)
    handing_over: Any = HandingOver(load)
    loader: DataLoader[Any] = DataLoader(
        handing_over,
        batch_size=None,
        collate_fn=_unchanged,
        sampler=picks,
        num_workers=num_workers,
        prefetch_factor=PREFETCHED if num_workers else None,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        multiprocessing_context=_forkserver() if num_workers else None,
        worker_init_fn=_start_worker,
        # Each new iterator draws a seed. Drawn from torch's default generator it would shift the dropout of a resumed
        # run, which makes more iterators than an unbroken one.
        generator=torch.Generator(),
    )
    return Receiving(loader)


def _unchanged(batch: Any) -> Any:
    """Stands for torch's own conversion, which would walk through every index."""
    return batch


def _forkserver() -> Any:
    # Loader processes are forked from a server that has done nothing but import (2.5 s, once), never from a process
    # with CUDA or threads, which a fork would leave in an unknown state. Python runs the main module again in each of
    # them, so what that imports is imported in the server too: a second less for each loader under Ray.
    main_imports = [value.__name__ for value in vars(sys.modules["__main__"]).values() if isinstance(value, ModuleType)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *main_imports])
    return context


def _start_worker(_: int) -> None:
    _one_thread()
    _give_freed_memory_back()
    # Torch watches a worker's parent process, but that is the fork server, which lives as long as its workers.
    end_with_parent()


def _one_thread() -> None:
    # Samples are loaded in parallel by processes; OpenCV's own threads would only compete with training.
    cv2.setNumThreads(0)


def _give_freed_memory_back() -> None:
    # The GNU C library learns from a freed batch to keep the next one in its heap, which then grew to 370 MB in each
    # loader process. Told a size, it stops learning. Other libraries have no such option.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**20)
