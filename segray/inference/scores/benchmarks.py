"""The scores that benchmarks define, each in a file of its own; a new one is a new file and a line in the dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from segray.data.datasets import BENCHMARK_OF
from segray.inference.scores.cityscapes import CityscapesScores
from segray.inference.scores.image import JudgedImage
from segray.inference.scores.kitti_road import KittiRoadScores
from segray.inference.scores.lyft import LyftScores
from segray.labels import LabelSpace
from segray.split_scores import BenchmarkScores


class Benchmark(Protocol):
    """Sums what the scores of a benchmark need, image by image."""

    def add(self, image: JudgedImage) -> None:
        """Count an image."""

    def result(self) -> BenchmarkScores:
        """Return the scores of all images."""


BENCHMARKS: Final[dict[str, Callable[[LabelSpace], Benchmark | None]]] = {
    "cityscapes": CityscapesScores.of,
    "kitti_road": KittiRoadScores.of,
    "lyft": LyftScores.of,
}
"""Name -> function of the classes that returns the scores; None if the classes are not the benchmark's"""


def benchmark_of(dataset: str, label_space: LabelSpace) -> Benchmark | None:
    """Return the scores of a data set's benchmark; None if it has none, or the classes are others."""
    name = BENCHMARK_OF.get(dataset)
    return None if name is None else BENCHMARKS[name](label_space)
