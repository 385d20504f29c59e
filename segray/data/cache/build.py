"""Decodes a data set into a shard, on all cores.

Up to `MOST_THREADS` cores decode in threads of this process. About a tenth of decoding holds Python's global lock, so
more cores get processes, if there is enough to decode to make up for their start.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import cv2
import numpy as np

from segray.activity import LINE_SECONDS, Throttle, doing
from segray.config import DataConfig, SizePx
from segray.data.cache.entry import Entry
from segray.data.cache.eviction import clean, find_room, in_order
from segray.data.cache.locks import Lock
from segray.data.cache.shard_writer import PixelFiles, ShardWriter, Tally
from segray.data.cache.shards import pixel_bytes
from segray.data.cache.source import Source, open_source
from segray.data.datasets.dataset import Dataset
from segray.data.files.decode import turned_alone
from segray.data.files.pair import Pair
from segray.data.files.palettes import NO_COLORS, UsedColors, disagreements
from segray.errors import DataError, ResourceError, listed
from segray.process import end_with_parent
from segray.text import data_size

MOST_THREADS: Final = 4
PIXELS_WORTH_A_PROCESS: Final = 2**25
"""Pixels for each process that make processes worth while: about a second of decoding. A process takes half a second to
start"""

FLUSH_SECONDS: Final = 0.25
"""Time between waits for the disk, during which threads and processes go on decoding."""

Announce = Callable[[str], None]
Progress = Callable[[int, int], object]
_Result = TypeVar("_Result")


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Builder:
    """Builds one entry of the cache.

    Args:
        entry: The entry to build.
        dataset: The data set to decode.
        config: The config that the data set was opened from.
        lock: The lock on the build, which the caller holds.
        announce: Told in lines what happens.
        progress: Told how many images of how many are decoded; None has lines announced now and then.
    """

    entry: Entry
    dataset: Dataset
    config: DataConfig
    lock: Lock
    announce: Announce
    progress: Progress | None
    problems: list[str] = field(default_factory=list)

    def build(self, *, has_index: bool) -> tuple[Lock | None, str]:
        """Decode every image, and store the pixels if there is room.

        Args:
            has_index: Whether the entry exists without pixels; then it stays as it is if there is no room for pixels.

        Returns:
            A shared lock on the entry if it is new, and why it has no pixels if it has none.

        Raises:
            DataError: Files cannot be used; the error names all of them.
            ResourceError: The cache cannot be written.
        """
        try:
            self.entry.remove_partial()
            if not has_index:
                self._remove_damaged()
            sizes = self._sizes()
            if self.problems:  # decoding will raise, so no other entry should be removed for this one
                self._decode(self._writer(sizes, has_pixels=False), sizes)
            shortage = self._store(sizes)
            if shortage and has_index:
                return None, shortage
            if shortage:
                self._check(sizes, shortage)
            with self._in_order():
                return self.entry.publish(), shortage
        except OSError as error:
            raise ResourceError(
                f"cannot write decoded images to {str(self.entry.partial)!r}: {error.strerror or error}; set "
                "data.cache_dir or $SEGRAY_CACHE to a folder that can be written"
            ) from None
        except BrokenProcessPool:
            raise ResourceError(
                "a process that decoded images died: the memory may be too small; or the program's main module runs "
                "again in each process that imports it, and needs `if __name__ == '__main__':`"
            ) from None
        finally:
            self.entry.remove_partial()

    def _store(self, sizes: dict[Pair, SizePx]) -> str:
        """Decode and store the pixels; if there is no room, leave nothing and return the shortage."""
        try:
            shortage = self._decode_reserved(sizes)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            shortage = f"{str(self._cache)!r} has no room left ({error.strerror})"
        if shortage:
            self.entry.remove_partial()
        return shortage

    def _decode_reserved(self, sizes: dict[Pair, SizePx]) -> str:
        array = np.array(list(sizes.values()), dtype=np.int64).reshape(-1, 2)
        needed = pixel_bytes(array, has_judged=self.dataset.scoring.differs)
        with self._in_order():
            clean(self._cache)
            room = find_room(self.entry, needed, self.config.cache_limit_gb)
            if room.shortage:
                return room.shortage
            room.take(self.announce)
            writer = self._writer(sizes, has_pixels=True)
        self.announce(f"decoding {self._what()} once for this machine: {data_size(needed)} in {self.entry.folder}")
        self._decode(writer, sizes)
        return ""

    def _check(self, sizes: dict[Pair, SizePx], shortage: str) -> None:
        """Decode without storing the pixels."""
        self.announce(f"checking {self._what()} once for this machine, without storing it: {shortage}")
        self._decode(self._writer(sizes, has_pixels=False), sizes)

    def _remove_damaged(self) -> None:
        with self._in_order():
            if self.entry.is_complete():
                self.entry.remove()

    @property
    def _cache(self) -> Path:
        return self.entry.folder.parent

    def _in_order(self) -> AbstractContextManager[None]:
        return in_order(self._cache, self.announce)

    def _what(self) -> str:
        return f"{self.config.dataset} ({len(self.dataset.pairs())} images)"

    def _sizes(self) -> dict[Pair, SizePx]:
        """Return (height, width) at which each pair is stored, from the headers; note unreadable ones as problems."""
        sizes, pairs = {}, self.dataset.pairs()
        with _cancelling(ThreadPoolExecutor(num_cores())) as pool:
            found = pool.map(lambda pair: _attempt(lambda: self.dataset.reader.size(pair)), pairs)
            for pair, size in zip(pairs, found, strict=True):
                doing("reading the sizes of images")
                if isinstance(size, DataError):
                    self.problems.extend(size.problems)
                else:
                    sizes[pair] = self.config.resize_px or size
        return sizes

    def _writer(self, sizes: dict[Pair, SizePx], *, has_pixels: bool) -> ShardWriter:
        scoring = self.dataset.scoring
        writer = ShardWriter(
            self.entry.partial,
            [pair.name for pair in sizes],
            list(sizes.values()),
            self.dataset.label_space.num_classes,
            num_judged_classes=scoring.label_space.num_classes if scoring.differs else 0,
            has_pixels=has_pixels,
        )
        self.entry.mark_partial()
        return writer

    def _decode(self, writer: ShardWriter, sizes: dict[Pair, SizePx]) -> None:
        source = open_source(self.dataset, sizes, self.config.resize_px)
        progress = self.progress or _announce_progress(self.config.dataset, self.announce)
        seconds, problems, flushed = 0.0, list(self.problems), time.monotonic()
        colors: list[UsedColors] = [NO_COLORS] * len(sizes)
        turned: list[str] = []
        for index, decoded in enumerate(_decode_all(_Job(source, writer.files))):
            if isinstance(decoded, DataError):
                problems += decoded.problems
            else:
                writer.add(index, decoded.tally)
                colors[index] = decoded.colors
                turned += [source.pairs[index].name] if decoded.is_turned_alone else []
                seconds += decoded.seconds
            progress(index + 1, len(sizes))
            doing("decoding images")
            if time.monotonic() - flushed > FLUSH_SECONDS:
                writer.flush()
                self.lock.touch()
                flushed = time.monotonic()
        problems += disagreements([pair.label for pair in sizes], colors)
        if problems:
            raise DataError(
                f"{len(problems)} files of {self.config.dataset} cannot be used:{listed(problems)}", problems
            )
        writer.finish(seconds / len(sizes) if sizes else 0.0, turned)


class _Decoded(NamedTuple):
    tally: Tally
    colors: UsedColors
    """Colours of the label file's palette, if its indices are the ids"""
    is_turned_alone: bool
    """Whether EXIF turns the photo, but not the label"""
    seconds: float
    """CPU time of decoding, without writing"""


@dataclass(frozen=True)
class _Job:
    """Decodes and stores single images, in any thread or process."""

    source: Source
    files: PixelFiles

    def decode(self, index: int) -> _Decoded | DataError:
        height, width = self.files.sizes[index].tolist()
        start = time.thread_time()
        try:
            (photo, label), colors = self.source.inspect(index, (height, width))
            judged = self.source.judged(index, label)
            is_turned_alone = turned_alone(self.source.pairs[index])
        except DataError as error:
            return error
        seconds = time.thread_time() - start
        return _Decoded(self.files.write(index, photo, label, judged), colors, is_turned_alone, seconds)


def _decode_all(job: _Job) -> Iterator[_Decoded | DataError]:
    """Decode every image of a job, and yield the results in order."""
    cores, indices = num_cores(), range(len(job.files.sizes))
    num_pixels = int(job.files.sizes.prod(axis=1).sum())
    has_work = num_pixels >= cores * PIXELS_WORTH_A_PROCESS
    if cores <= MOST_THREADS or not has_work or multiprocessing.current_process().daemon:
        with _cancelling(ThreadPoolExecutor(cores)) as pool:
            yield from pool.map(job.decode, indices)
    else:
        context = multiprocessing.get_context("spawn")
        processes = ProcessPoolExecutor(cores, mp_context=context, initializer=_start_process, initargs=(job,))
        with _cancelling(processes) as pool:
            yield from pool.map(_decode_in_process, indices, chunksize=4)


@contextmanager
def _cancelling(pool: Executor) -> Iterator[Executor]:
    """Yield the pool; if an error or Ctrl-C leaves the block, cancel what the pool has not started."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_process_job: _Job | None = None


def _start_process(job: _Job) -> None:
    global _process_job
    _process_job = job
    cv2.setNumThreads(0)
    end_with_parent()  # otherwise a pool's processes would wait for work for ever if their parent was killed


def _decode_in_process(index: int) -> _Decoded | DataError:
    assert _process_job is not None
    return _process_job.decode(index)


def _announce_progress(dataset: str, announce: Announce) -> Progress:
    """Return a progress callback that announces a line now and then."""
    start, throttle = time.monotonic(), Throttle(LINE_SECONDS)

    def update(done: int, total: int) -> None:
        if done < total and throttle.is_due():
            left = (time.monotonic() - start) / done * (total - done)
            announce(f"decoded {done} of {total} images of {dataset}, about {left / 60:.1f} min left")

    return update


def _attempt(read: Callable[[], _Result]) -> _Result | DataError:
    """Call `read`, and return its result or the DataError that it raises."""
    try:
        return read()
    except DataError as error:
        return error
