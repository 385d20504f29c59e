"""A probe of one run: a few timed training steps, a short validation and a checkpoint, on real images."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from segray.config import RunConfig
from segray.data.batches.loaders import Batch, TrainLoader
from segray.data.preparation import PreparedData
from segray.engine import checkpoint
from segray.engine.batch_size import max_micro_batches, per_rank_batch_size, val_batch_size
from segray.engine.memory import PeakMemory
from segray.engine.run_parts import build_step, build_train_loader, build_validation
from segray.engine.state import TrainState, build_state
from segray.engine.steps import Step
from segray.folder import open_folder
from segray.trial_files import TRAINING_STATE

WARM_UP: Final = 2
"""Steps before the timed ones: the first ones choose kernels and allocate memory"""
NUM_STEPS: Final = 5
"""Most timed steps"""
STEPS_SECONDS: Final = 10.0
"""Time after which no further step begins, once one is measured"""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The cost of a run's training, as measured in a few steps."""

    num_parameters: int
    """Parameters of the network, without a discriminator"""
    batch_size: int
    """Images a step on one worker"""
    micro_batches: int
    """Parts that a batch must be split into, because it does not fit into the device's memory as a whole"""
    load_seconds: float
    """Time to load a training batch in one process"""
    step_seconds: float
    """Time of a training step on a loaded batch"""
    val_image_seconds: float
    """Time to load and validate an image"""
    start_seconds: float
    """Time to build the model, its optimiser and its loader"""
    save_seconds: float
    """Time to write a checkpoint to a local disk"""
    model_bytes: int
    """Size of a checkpoint that an ended trial keeps"""
    training_bytes: int
    """Further size of a checkpoint that a trial can go on from: optimiser, and trained weights beside an average"""
    peak_bytes: int | None
    """Peak memory: of the device on a GPU, else of the process; None if it cannot be measured"""


def probe(config: RunConfig, data: PreparedData, device: torch.device, *, num_workers: int = 1) -> Probe:
    """Measure a run in a few steps; a batch that does not fit into memory is split, as a trial's is.

    Args:
        config: The run.
        data: The run's data.
        device: The device to train on.
        num_workers: Workers that share a batch; one of them is measured, without the exchange of gradients.

    Raises:
        ConfigError: The run cannot be trained.
        OutOfMemoryError: Not even the smallest part of a batch fits.
    """
    own = config.with_values({"train.batch_size": per_rank_batch_size(config, num_workers)})
    micro_batches = 1
    while True:
        try:
            return _probe(own, data, device, micro_batches)
        except torch.OutOfMemoryError:
            most = max_micro_batches(own)
            if micro_batches >= most:
                raise
        # Outside of the handler, where the exception no longer holds the model.
        micro_batches = min(2 * micro_batches, most)
        torch.cuda.empty_cache()


def _probe(config: RunConfig, data: PreparedData, device: torch.device, micro_batches: int) -> Probe:
    # The model of an earlier probe may wait in a circle of references.
    gc.collect()
    memory = PeakMemory(device)
    started = time.perf_counter()
    loader = build_train_loader(config, data, device, num_workers=0)
    # A one-cycle schedule refuses more steps than it was built for.
    num_steps = max(len(loader), WARM_UP + NUM_STEPS)
    state = build_state(config, data.label_space, num_steps, device)
    step = build_step(config, data, device, micro_batches)
    start_seconds = time.perf_counter() - started
    load_seconds, step_seconds = _timed_steps(state, step, loader)
    val_image_seconds = _timed_validation(state, data, micro_batches)
    with tempfile.TemporaryDirectory(prefix="segray-probe-") as name:
        started = time.perf_counter()
        checkpoint.save(state, open_folder(name))
        save_seconds = time.perf_counter() - started
        sizes = {file.name: file.stat().st_size for file in Path(name).iterdir()}
    return Probe(
        num_parameters=sum(parameter.numel() for parameter in state.network.parameters()),
        batch_size=config.train.batch_size,
        micro_batches=micro_batches,
        load_seconds=load_seconds,
        step_seconds=step_seconds,
        val_image_seconds=val_image_seconds,
        start_seconds=start_seconds,
        save_seconds=save_seconds,
        model_bytes=sum(sizes.values()) - sizes[TRAINING_STATE],
        training_bytes=sizes[TRAINING_STATE],
        peak_bytes=memory.num_bytes(),
    )


def _timed_steps(state: TrainState, step: Step, loader: TrainLoader) -> tuple[float, float]:
    """Return the median seconds to load a batch and to train on it."""
    state.model.train()
    loads: list[float] = []
    steps: list[float] = []
    begun = started = time.perf_counter()
    for batch in _batches(loader):
        loaded = time.perf_counter()
        step(state, batch)
        _wait_for(state.device)
        loads.append(loaded - started)
        steps.append(time.perf_counter() - loaded)
        started = time.perf_counter()
        if len(steps) == WARM_UP + NUM_STEPS or started - begun > STEPS_SECONDS:
            break
    # A step that took all the time is a measurement too.
    warm = min(WARM_UP, len(steps) - 1)
    return statistics.median(loads[warm:]), statistics.median(steps[warm:])


def _batches(loader: TrainLoader) -> Iterator[Batch]:
    for epoch in range(1, WARM_UP + NUM_STEPS + 1):
        loader.set_epoch(epoch)
        yield from loader


def _timed_validation(state: TrainState, data: PreparedData, micro_batches: int) -> float:
    """Return the seconds per validation image, from one batch or a few; the second of two rounds counts."""
    config = state.config
    num_images = min(len(data.val), 2 * val_batch_size(config.data, data, config.train.batch_size))
    few = replace(data, val=data.val.subset(data.val.names[:num_images]))
    validation = build_validation(config, few, state.device, micro_batches=micro_batches, num_workers=0)
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        validation(state.kept_model)
        seconds = time.perf_counter() - started
        if seconds > STEPS_SECONDS:
            break
    return seconds / num_images


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
