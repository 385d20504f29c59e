"""Loaders of batches. A sample depends on seed, epoch and image alone, not on the process that loads it."""

from __future__ import annotations

import ctypes
import multiprocessing
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.context import BaseContext
from types import ModuleType
from typing import Final, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from segray.config import DataConfig
from segray.data.batches.handover import PREFETCHED, HandingOver, Receiving, check_shared_memory
from segray.data.batches.sampling import TrainSamples
from segray.data.cache.shards import Shard, pixel_bytes
from segray.data.files.pair import Images
from segray.errors import ConfigError
from segray.process import end_with_parent

_M_MMAP_THRESHOLD: Final = -3
"""From glibc's malloc.h: the size from which blocks are taken from the system, and given back when they are freed."""

PicksT = TypeVar("PicksT")
T = TypeVar("T")


class Batch(NamedTuple):
    """Some images of a shard."""

    photos_BCHW: torch.Tensor
    """uint8 RGB with channels-last strides"""
    labels_BHW: torch.Tensor
    """uint8 training ids, 255 for void"""
    indices: list[int]
    """Positions of the images in the shard"""
    judged_BHW: torch.Tensor | None = None
    """uint8 ids that predictions are judged by, 255 for void; None in training, and if these are the labels"""


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
    """Return a loader of augmented training batches, one epoch an iteration.

    Args:
        shard: The training split.
        config: Says how to sample, by `policy`, `augment`, `crop_px` and `rare_class_crops`.
        batch_size: Images a batch over all ranks; the first ranks get one more if it does not divide evenly.
        seed: Seed of order and augmentation.
        rank: Rank of this process among those that share an epoch's images.
        world_size: Number of these processes.
        num_workers: Number of loader processes; 0 loads in this process.
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
    """Return a loader of whole images in order, each once over all ranks; if sizes differ, a batch holds one image.

    Args:
        shard: The validation split.
        batch_size: Most images in a batch.
        rank: Rank of this process among those that share the images.
        world_size: Number of these processes.
        num_workers: Number of loader processes; 0 loads in this process.
        pin_memory: Whether batches lie in page-locked memory, for copies to a GPU.

    Raises:
        ResourceError: Loader processes need more shared memory than there is.
    """
    mine = list(range(rank, len(shard), world_size))
    step = batch_size if shard.common_size else 1
    batches = [mine[start : start + step] for start in range(0, len(mine), step)]
    largest = max((pixel_bytes(shard.sizes[picks], has_judged=shard.has_judged) for picks in batches), default=0)
    return _loader(_WholeBatches(shard), batches, num_workers, pin_memory, largest)


class TrainLoader:
    """An iterable over the batches of one epoch; order and augmentation change with `set_epoch`."""

    def __init__(self, order: _TrainOrder, loader: Iterable[Batch]) -> None:
        self._order = order
        self._loader = loader

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self._order.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches an epoch, which is the same on every rank."""
        return len(self._order)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)


class _TrainOrder:
    """The order of an epoch's images in the batches of one rank; images that fill no batch of all ranks are dropped."""

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
    """Makes augmented batches. The epoch comes with the picks, because loader processes outlive epochs."""

    def __init__(self, samples: TrainSamples, batch_size: int) -> None:
        self._samples = samples
        shape = (batch_size, *samples.size_px)
        self._photos, self._labels = _Memory((*shape, 3)), _Memory(shape)
        self.num_bytes = pixel_bytes(np.array([samples.size_px] * batch_size), has_judged=False)
        """Size of a batch"""

    def __call__(self, picks: _Picks) -> Batch:
        drawn = (self._samples.draw(picks.epoch, index) for index in picks.indices)
        return _batch(drawn, self._photos.array(), self._labels.array(), picks.indices)


class _Memory:
    """Arrays of one shape, which are used again as soon as nobody holds the batch that they belong to.

    Fresh pages from the system for every batch took as long as cutting its crops.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._arrays: list[tuple[NDArray[np.uint8], weakref.ref[NDArray[np.uint8]]]] = []

    def array(self) -> NDArray[np.uint8]:
        """Return an array of arbitrary content, which is free again when it and all tensors made of it are gone."""
        place = next((place for place, (_, user) in enumerate(self._arrays) if user() is None), len(self._arrays))
        array = self._arrays[place][0] if place < len(self._arrays) else np.empty(self._shape, np.uint8)
        # A tensor keeps the object alive that it was made of, which is this view.
        view = array.view()
        self._arrays[place : place + 1] = [(array, weakref.ref(view))]
        return view


class _WholeBatches:
    """Makes batches of whole images."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def __call__(self, indices: list[int]) -> Batch:
        shape = (len(indices), *self._shard.sizes[indices[0]].tolist())
        photos_BHWC, labels_BHW = np.empty((*shape, 3), np.uint8), np.empty(shape, np.uint8)
        batch = _batch(map(self._shard.pair, indices), photos_BHWC, labels_BHW, indices)
        if not self._shard.has_judged:
            return batch
        judged = [self._shard.judged(index, label) for index, label in zip(indices, labels_BHW, strict=True)]
        return batch._replace(judged_BHW=torch.from_numpy(np.stack(judged)))


def _batch(
    images: Iterable[Images], photos_BHWC: NDArray[np.uint8], labels_BHW: NDArray[np.uint8], indices: list[int]
) -> Batch:
    for (photo, label), photo_HWC, label_HW in zip(images, photos_BHWC, labels_BHW, strict=True):
        photo_HWC[...], label_HW[...] = photo, label
    return Batch(torch.from_numpy(photos_BHWC).permute(0, 3, 1, 2), torch.from_numpy(labels_BHW), indices)


def _loader(
    load: Callable[[PicksT], Batch],
    picks: _TrainOrder | list[PicksT],
    num_workers: int,
    pin_memory: bool,
    batch_bytes: int,
) -> Receiving[Batch]:
    _one_thread()
    check_shared_memory(batch_bytes, len(picks), num_workers)
    loader = DataLoader(
        HandingOver(load),
        batch_size=None,
        collate_fn=_pass_on,
        sampler=picks,
        num_workers=num_workers,
        prefetch_factor=PREFETCHED if num_workers else None,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        multiprocessing_context=_forkserver() if num_workers else None,
        worker_init_fn=_start_worker,
        # Each new iterator draws a seed. From torch's default generator, the draw would shift the dropout of a resumed
        # run, which makes more iterators than an unbroken run.
        generator=torch.Generator(),
    )
    return Receiving(loader)


def _pass_on(batch: T) -> T:
    """Return the batch as it is, in place of torch's own conversion, which would walk through every index."""
    return batch


def _forkserver() -> BaseContext:
    # Loader processes are forked from a server that has only imported modules (2.5 s, once), never from a process with
    # CUDA or threads, which a fork would leave in an unknown state. Python runs the main module again in each of them,
    # so the server also imports the modules of the main module: a second less for each loader under Ray.
    main_imports = [value.__name__ for value in vars(sys.modules["__main__"]).values() if isinstance(value, ModuleType)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *main_imports])
    return context


def _start_worker(_: int) -> None:
    _one_thread()
    _give_freed_memory_back()
    # Torch watches a worker's parent process, but the parent is the fork server, which lives as long as its workers.
    end_with_parent()


def _one_thread() -> None:
    # Processes load samples in parallel already; OpenCV's own threads would only compete with training.
    cv2.setNumThreads(0)


def _give_freed_memory_back() -> None:
    # When a batch is freed, the GNU C library raises the size up to which it keeps blocks in its heap, which grew to
    # 370 MB in each loader process. A size that is set stays as it is. Other C libraries have no such option.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**20)
