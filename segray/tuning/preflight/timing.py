"""The timed steps of a sweep's models, and what a trial costs by them."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from segray import text
from segray.cluster.resources import Plan
from segray.config import RunConfig
from segray.data.batches.augmentation import training_size
from segray.data.preparation import PreparedData, prepare
from segray.engine.batch_size import per_rank_batch_size
from segray.engine.footprint import Footprint, footprint
from segray.engine.precision import resolve_precision
from segray.engine.probe import Probe, probe
from segray.errors import ResourceError

Network = tuple[object, ...]
"""The part of a config that names the networks of a trial"""


@dataclass(frozen=True, kw_only=True)
class TimedModel:
    """A model of the space, measured in a few steps of the first trial that has it."""

    name: str
    """Its values of the model's keys that differ in the space"""
    draws: int
    """Number of drawn trials with this model"""
    config: RunConfig
    """The measured run"""
    probe: Probe


@dataclass(frozen=True, kw_only=True)
class Timings:
    """The measured models of a space, and what a trial takes by them."""

    by_network: Mapping[Network, TimedModel]
    num_models: int
    """Models that the draws hold, measured or not"""
    num_draws: int
    data: PreparedData
    plan: Plan
    device: torch.device

    @property
    def models(self) -> Sequence[TimedModel]:
        """The measured models, by the number of draws."""
        return list(self.by_network.values())

    def trial_seconds(self, config: RunConfig) -> float | None:
        """Return the time of a whole trial without early stopping; None if its model was not measured."""
        timed = self.by_network.get(_network(config))
        if timed is None:
            return None
        return timed.probe.start_seconds + config.train.epochs * self.epoch_seconds(config, timed)

    def epoch_seconds(self, config: RunConfig, timed: TimedModel) -> float:
        """Return the time of an epoch with its validation and checkpoint.

        Args:
            config: A run with the measured networks; crop and batch size may differ.
            timed: The measurement.
        """
        measured = timed.probe
        per_image = self._num_pixels(config) / self._num_pixels(timed.config) / measured.batch_size
        step, load = per_image * measured.step_seconds, per_image * measured.load_seconds
        num_loaders = config.data.num_loader_workers
        if num_loaders is None:
            num_loaders = self.plan.loader_workers
        # Loader processes prepare the next batches during a step; without them, the worker does both in turn.
        image_seconds = max(step, load / num_loaders) if num_loaders else step + load
        batch_size = config.train.batch_size
        num_images = len(self.data.train) // batch_size * batch_size
        seconds = num_images * image_seconds + len(self.data.val) * measured.val_image_seconds
        return seconds / self.plan.workers_per_trial + measured.save_seconds

    def peak_bytes(self, config: RunConfig) -> int | None:
        """Return the peak memory of a worker: the measured one, with what a larger batch or crop adds; None if unknown.

        The measurement also says how far a GPU's kernels and allocator are above the counted bytes.
        """
        timed = self.by_network.get(_network(config))
        if timed is None or timed.probe.peak_bytes is None:
            return None
        if timed.probe.micro_batches > 1:
            # A batch that is split has the size that fits.
            return timed.probe.peak_bytes
        measured = self._footprint(timed.config)
        passing = measured.passing(timed.probe.batch_size)
        above = (timed.probe.peak_bytes - measured.lasting) / passing if self.device.type == "cuda" else 1.0
        num_images = per_rank_batch_size(config, self.plan.workers_per_trial)
        added = self._footprint(config).passing(num_images) - passing
        return round(timed.probe.peak_bytes + max(1.0, above) * added)

    def _footprint(self, config: RunConfig) -> Footprint:
        size_px = training_size(self.data.train, config.data.crop_px)
        precision = resolve_precision(config.train.precision, self.device)
        return footprint(config, self.data.label_space.num_classes, size_px, precision)

    def _num_pixels(self, config: RunConfig) -> int:
        return math.prod(training_size(self.data.train, config.data.crop_px))


def time_models(
    first: Sequence[RunConfig],
    drawn: Sequence[RunConfig],
    data: PreparedData,
    plan: Plan,
    device: torch.device,
    *,
    max_models: int,
    announce: Callable[[str], None],
) -> Timings:
    """Measure the models that a space draws most often.

    Args:
        first: Configs of the first trials, which are measured in place of others of their model.
        drawn: Configs as the space draws them at random.
        data: Data of one trial; all have the same images.
        plan: The use of the cluster.
        device: The device to train on.
        max_models: Most models to measure.
        announce: Told which model is measured.

    Raises:
        ResourceError: A model does not fit into the device's memory.
    """
    counts = Counter(map(_network, drawn))
    # A model of the first trials counts too, even if the random draws have missed it.
    counts.update({_network(config): 0 for config in first})
    examples: dict[Network, RunConfig] = {}
    for config in (*first, *drawn):
        examples.setdefault(_network(config), config)
    names = _names(list(examples))
    models = {}
    with _threads_of(plan, device):
        for network, draws in counts.most_common(max_models):
            config = examples[network]
            announce(f"timing a few steps of {names[network]}")
            data_of_model = prepare(config.data, announce)
            try:
                measured = probe(config, data_of_model, device, num_workers=plan.workers_per_trial)
            except torch.OutOfMemoryError as error:
                raise ResourceError(
                    f"{names[network]} does not fit into the GPU's memory, even one image at a time: {error}; take it "
                    "out of the space, or lower data.crop_px"
                ) from None
            models[network] = TimedModel(name=names[network], draws=draws, config=config, probe=measured)
    return Timings(by_network=models, num_models=len(counts), num_draws=len(drawn), data=data, plan=plan, device=device)


def _network(config: RunConfig) -> Network:
    """Return the values that decide the networks, without those that only change how they are trained."""
    gan = config.gan
    discriminator = (gan.discriminator, gan.receptive_field_px, gan.width, gan.norm, gan.spectral_norm)
    return (config.model, *(discriminator if gan.has_discriminator else ()))


def _names(networks: Sequence[Network]) -> dict[Network, str]:
    """Return a name for each network: its values that differ, or those that say most if all are one network."""
    rows = {network: _flat(network) for network in networks}
    keys = dict.fromkeys(key for row in rows.values() for key in row)
    varied = [key for key in keys if len({str(row.get(key)) for row in rows.values()}) > 1]
    name = next(iter(rows.values()))["name"]
    shown = varied or (["arch", "encoder"] if name == "smp" else ["name"])
    return {network: " ".join(text.value(row.get(key)) for key in shown) for network, row in rows.items()}


def _flat(network: Network) -> dict[str, object]:
    model, *discriminator = network
    values = RunConfig().model_copy(update={"model": model}).flat()
    own = {key.removeprefix("model."): value for key, value in values.items() if key.startswith("model.")}
    return own | {f"discriminator {number}": value for number, value in enumerate(discriminator)}


@contextmanager
def _threads_of(plan: Plan, device: torch.device) -> Iterator[None]:
    """Use as many CPU threads as Ray gives a worker: its CPUs, unless the environment says otherwise."""
    before = torch.get_num_threads()
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, int(plan.cpus_per_worker)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
