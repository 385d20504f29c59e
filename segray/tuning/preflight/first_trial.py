"""A first trial that is planned from the data: crop, depth, batch and epochs follow from image sizes and memory.

The idea is nnU-Net's (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z): as much context as fits with a batch of
two, then as many images as fit. The length and the memory that may be filled are segray's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from segray import text
from segray.config import DataConfig, RunConfig, SizePx
from segray.data.batches.augmentation import training_size
from segray.data.preparation import PreparedData
from segray.engine.footprint import footprint
from segray.engine.precision import resolve_precision
from segray.tuning.points import FittedPoint, Point, all_values, draw_point, first_of
from segray.tuning.preflight.drawn import Drawn
from segray.tuning.space import EPOCHS_KEY, Draw
from segray.values import Values

CROP_KEY: Final = "data.crop_px"
DEPTH_KEY: Final = "model.generator.depth"
BATCH_KEY: Final = "train.batch_size"
KEYS: Final = (CROP_KEY, DEPTH_KEY, BATCH_KEY, EPOCHS_KEY)

LEAST_BATCH: Final = 2
"""Images of a batch that a crop must leave room for, as in nnU-Net"""
MOST_OF_DATA: Final = 0.05
"""Largest share of the training pixels in a batch, as in nnU-Net"""
DEEPEST_PX: Final = 4
"""Smallest side of the deepest feature map, as in nnU-Net"""
NUM_STEPS: Final = 40_000
"""Training steps of a whole trial: the length of a short schedule on Cityscapes"""
FILLED: Final = 0.6
"""Share of the memory that the counted bytes may take, since they are a lower bound"""


@dataclass(frozen=True)
class PlannedTrial:
    """A first trial and what is behind it."""

    values: Values
    line: str
    """Says in one line what was planned and why"""


def plan_trial(
    drawn: Drawn, data: PreparedData, *, num_workers: int, worker_bytes: int | None, on_gpu: bool
) -> PlannedTrial | None:
    """Plan a trial from the data: the study's own first trial, with other values at the keys that the data decide.

    Args:
        drawn: The trials of the sweep; the first one gives all other values.
        data: The data of one trial.
        num_workers: Workers a trial, among which its batch is divided.
        worker_bytes: Memory that a worker has; None leaves the batch as it is.
        on_gpu: Whether that is a GPU's memory.

    Returns:
        The trial, whose other keys are sampled if there is no first trial; None if the space draws none of the keys, or
        if the plan is the first trial itself.
    """
    start = drawn.first_trials[0] if drawn.first_trials else {}
    planner = _Planner(drawn, data, num_workers, worker_bytes, on_gpu)
    first = planner.draw(start)
    planned = first
    for choose in (planner.crop, planner.depth, planner.batch, planner.epochs):
        planned = choose(planned)
    if not planned.drawn.keys() & set(KEYS) or (start and planned.drawn == first.drawn):
        return None
    values = {key: value for key, value in planned.drawn.items() if key in start or key in KEYS}
    others = "otherwise like the first trial" if start else "other keys are sampled"
    return PlannedTrial(values, f"{planner.describe(planned)}; {others}")


def with_planned(
    drawn: Drawn,
    data: Mapping[DataConfig, PreparedData],
    num_workers: int,
    worker_bytes: int | None,
    announce: Callable[[str], None],
    *,
    on_gpu: bool,
) -> Drawn:
    """Return the trials with a planned one in second place: the first one stays the baseline of all comparisons."""
    any_data = data[drawn.configs[0].data]
    planned = plan_trial(drawn, any_data, num_workers=num_workers, worker_bytes=worker_bytes, on_gpu=on_gpu)
    if planned is None:
        announce(
            f"no trial is planned: the space draws none of {', '.join(KEYS)}, or the first trial has the planned values"
        )
        return drawn
    announce(planned.line)
    first, later = drawn.first_trials[:1], [point for point in drawn.first_trials[1:] if point != planned.values]
    config = drawn.base.with_values(draw_point(drawn.space, Point(planned.values, first_of)).values)
    # A planned baseline is believed in as a given one would be, also by a resume.
    belief = drawn.belief if first else replace(drawn.belief, point=planned.values)
    first_trials, configs = (*first, planned.values, *later), (*drawn.configs, config)
    return replace(drawn, first_trials=first_trials, belief=belief, configs=configs)


class _Planner:
    def __init__(
        self, drawn: Drawn, data: PreparedData, num_workers: int, worker_bytes: int | None, on_gpu: bool
    ) -> None:
        self._drawn, self._data, self._on_gpu = drawn, data, on_gpu
        self._num_workers, self._worker_bytes = num_workers, worker_bytes
        height, width = np.median(data.train.sizes, axis=0)
        self.median_px: SizePx = (int(height), int(width))

    def draw(self, values: Values) -> Draw:
        """Return the point of the space that has these values where the space asks for them."""
        return draw_point(self._drawn.space, FittedPoint(values, first_of))

    def crop(self, before: Draw) -> Draw:
        """Take the largest crop within the median image that leaves room for two images; the smallest if none does."""
        options = sorted(self._options(before, CROP_KEY), key=lambda draw: math.prod(self._size(draw)))
        within = [
            draw
            for draw in options
            if all(side <= most for side, most in zip(self._size(draw), self.median_px, strict=True))
        ]
        fitting = [draw for draw in within if self._fits(draw, LEAST_BATCH)]
        return (fitting or within[:1] or options[:1] or [before])[-1]

    def depth(self, before: Draw) -> Draw:
        """Halve the images until the deepest map has four pixels, as nearly as the space allows."""
        wanted = int(math.log2(max(1, min(self._size(before)) / DEEPEST_PX)))
        return self._nearest(before, DEPTH_KEY, wanted)

    def batch(self, before: Draw) -> Draw:
        """Take the largest batch that fits and holds at most a share of the training pixels."""
        if self._worker_bytes is None:
            return before
        options = sorted(self._options(before, BATCH_KEY), key=lambda draw: self._config(draw).train.batch_size)
        options = [draw for draw in options if self._num_workers <= self._config(draw).train.batch_size]
        pixels = MOST_OF_DATA * float(self._data.train.sizes.prod(axis=1).sum())
        most = max(LEAST_BATCH, int(pixels / math.prod(self._size(before))))
        fitting = [
            draw
            for draw in options
            if (size := self._config(draw).train.batch_size) <= min(most, len(self._data.train))
            and self._fits(draw, math.ceil(size / self._num_workers))
        ]
        return (fitting or options[:1] or [before])[-1]

    def epochs(self, before: Draw) -> Draw:
        """Take the epochs whose steps are as many as wanted, as nearly as the space allows."""
        return self._nearest(before, EPOCHS_KEY, math.ceil(NUM_STEPS / self._steps(before)))

    def describe(self, planned: Draw) -> str:
        """Return a line on the planned values and their reasons."""
        why = {
            CROP_KEY: f"images have {self._shown(self.median_px)}",
            DEPTH_KEY: "halvings",
            BATCH_KEY: self._memory(planned),
            EPOCHS_KEY: f"{self._steps(planned) * self._config(planned).train.epochs} steps",
        }
        parts = [f"{key} {text.value(planned.drawn[key])} ({why[key]})" for key in KEYS if key in planned.drawn]
        return f"planned trial: {', '.join(parts)}"

    def _options(self, before: Draw, key: str) -> list[Draw]:
        """Return the points that differ in a key, and in what follows from it; none if the point does not draw it."""
        values = all_values(before.distributions[key]) if key in before.distributions else ()
        return [self.draw({**before.drawn, key: value}) for value in values]

    def _nearest(self, before: Draw, key: str, wanted: int) -> Draw:
        values = all_values(before.distributions[key]) if key in before.distributions else ()
        if not values:
            return before
        chosen = min(values, key=lambda value: abs(float(str(value)) - wanted))
        return self.draw({**before.drawn, key: chosen})

    def _config(self, draw: Draw) -> RunConfig:
        return self._drawn.base.with_values(draw.values)

    def _size(self, draw: Draw) -> SizePx:
        return training_size(self._data.train, self._config(draw).data.crop_px)

    def _fits(self, draw: Draw, num_images: int) -> bool:
        return self._worker_bytes is None or self._needed(draw, num_images) <= FILLED * self._worker_bytes

    def _needed(self, draw: Draw, num_images: int) -> int:
        config = self._config(draw)
        # Most GPUs have bfloat16, the smaller type.
        precision = None if self._on_gpu else resolve_precision(config.train.precision, torch.device("cpu"))
        counted = footprint(config, self._data.label_space.num_classes, self._size(draw), precision)
        return counted.whole(num_images)

    def _memory(self, draw: Draw) -> str:
        if self._worker_bytes is None:
            return "memory is not known"
        num_images = math.ceil(self._config(draw).train.batch_size / self._num_workers)
        needed = text.data_size(self._needed(draw, num_images))
        return f"at least {needed} of {text.data_size(self._worker_bytes)} a worker"

    def _steps(self, draw: Draw) -> int:
        return max(1, len(self._data.train) // self._config(draw).train.batch_size)

    @staticmethod
    def _shown(size_px: SizePx) -> str:
        return f"{size_px[0]}×{size_px[1]}"
