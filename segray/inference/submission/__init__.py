"""Submissions to benchmarks, one file each; a new benchmark is a new file and a line in SUBMISSIONS."""

from __future__ import annotations

from typing import Final

from segray.errors import ConfigError, unknown_name
from segray.inference.submission.benchmark import Benchmark
from segray.inference.submission.cityscapes import CITYSCAPES
from segray.inference.submission.kitti_road import KITTI_ROAD

SUBMISSIONS: Final[dict[str, Benchmark]] = {"cityscapes": CITYSCAPES, "kitti_road": KITTI_ROAD}


def find_benchmark(name: str, split: str | None = None) -> tuple[Benchmark, str]:
    """Return a benchmark and the split to predict, which is its test split unless another is named.

    Raises:
        ConfigError: There is no such benchmark, or no such split of it.
    """
    if name not in SUBMISSIONS:
        raise ConfigError(unknown_name("benchmark", name, SUBMISSIONS))
    benchmark = SUBMISSIONS[name]
    if split is not None and split not in benchmark.splits:
        raise ConfigError(f"--split of {name} must be {' or '.join(benchmark.splits)}, but got {split!r}")
    return benchmark, split or benchmark.splits[0]
