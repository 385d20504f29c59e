"""Images per second: building the cache against all cores decoding the same files and keeping nothing.

    python benchmarks/data_loading.py --part build [--images 64]

Photos of 2048x1024 and their labels, PNGs in the page cache. The reference are threads or processes, as many as there
are cores, that decode through the data set's own reader: whichever are faster in the median. All sides take turns, each
round gives a ratio of wall-clock rates, and the ratio is the rounds' median; nothing else should run meanwhile.
Building includes the tallies of classes, the writes, and the wait for the disk. Before each build the one before is
removed, so that its memory serves again: a virtual machine may give free memory back to its host, and to get it anew
costs more than to write to it.
"""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import count

from segray.config import DataConfig
from segray.data.cache.build import num_cores
from segray.data.datasets import open_dataset
from segray.data.files.pair import Pair
from segray.data.files.readers import Reader
from segray.data.preparation import prepare

ROUNDS = 7
LEAST_SHARE = 0.85


def measure(config: DataConfig) -> dict[str, object]:
    dataset, cores = open_dataset(config), num_cores()
    pairs, decode = dataset.pairs(), partial(decode_one, dataset.reader)
    context = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(cores) as threads, ProcessPoolExecutor(cores, mp_context=context) as processes:
        sides: dict[str, Callable[[], float]] = {
            "threads": lambda: seconds(lambda: list(threads.map(decode, pairs))),
            "processes": lambda: seconds(lambda: list(processes.map(decode, pairs))),
            "ours": builder(config),
        }
        rates = alternate(sides, len(pairs))
    medians = {side: statistics.median(rates[side]) for side in sides}
    reference = max(("threads", "processes"), key=lambda side: medians[side])
    ratio = statistics.median(ours / alone for ours, alone in zip(rates["ours"], rates[reference], strict=True))
    return {
        "benchmark": "cache_build",
        "ours": round(medians["ours"], 1),
        "reference": round(medians[reference], 1),
        "ratio": round(ratio, 2),
        "unit": "images/s",
        "target": LEAST_SHARE,
        "met": ratio >= LEAST_SHARE,
        "decoding_alone": {side: round(medians[side], 1) for side in ("threads", "processes")},
        "cores": cores,
        "images": len(pairs),
        "rounds": ROUNDS,
    }


def decode_one(reader: Reader, pair: Pair) -> None:
    reader.read(pair)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def builder(config: DataConfig) -> Callable[[], float]:
    numbers, said = count(), list[str]()

    def run() -> float:
        number = next(numbers)
        shutil.rmtree(f"{config.cache_dir}-{number - 1}", ignore_errors=True)
        fresh = config.model_copy(update={"cache_dir": f"{config.cache_dir}-{number}"})
        return seconds(lambda: prepare(fresh, announce=said.append))

    return run


def alternate(sides: dict[str, Callable[[], float]], num_images: int) -> dict[str, list[float]]:
    """Images per second in each round, in which the sides take turns; a first round warms up and does not count."""
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(ROUNDS + 1):
        for side, run in sides.items():
            rate = num_images / run()
            print(f"round {number}, {side}: {rate:.1f} images/s", flush=True)
            if number:
                rates[side].append(rate)
    return rates
