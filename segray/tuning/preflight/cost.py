"""The cost of a sweep, estimated before it starts: time, disk and memory, from a few timed steps of its models."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import optuna
import torch

from segray import text
from segray.cluster.ray_internals import largest_gpu_bytes, this_machine
from segray.cluster.resources import HELPERS_BYTES, Plan, make_plan, worker_bytes
from segray.config import RunConfig
from segray.errors import ConfigError
from segray.folder import open_folder
from segray.tuning.points import Point, draw_point, first_of
from segray.tuning.preflight.samples import NUM_RANDOM, draw_samples
from segray.tuning.preflight.steps import check
from segray.tuning.preflight.timing import TimedModel, Timings, time_models
from segray.tuning.schedulers import find_scheduler
from segray.tuning.sweep import Sweep, check_values


@dataclass(frozen=True, kw_only=True)
class SweepCost:
    """An estimate of what a sweep costs if no trial stops early, and of how much early stopping may save."""

    plan: Plan
    device: str
    timings: Timings
    trials: int
    """Trials of the sweep, or as many whole ones as its minutes allow if that is fewer"""
    whole_trials_in_time: int | None
    """Whole trials that ``--minutes`` allows; None without a time budget"""
    repeats: int
    """Further trainings after the search, at most"""
    epochs: int
    """Epochs of the trials and repeats together"""
    trial_seconds: tuple[float, float, float]
    """Shortest, mean and longest whole trial"""
    worker_seconds: float
    """Time of all trials and repeats, times the workers of a trial"""
    seconds: float
    """Time of search and repeats, with all slots busy"""
    scheduler: str
    most_left_out: float
    """Share of the search's epochs that early stopping leaves out at most; its real share is not known before"""
    disk_bytes: int
    """Checkpoints at the end; in a time budget at most, since trials that stop early make room for more"""
    most_disk_bytes: int
    """Checkpoints while the sweep runs, at most"""
    free_disk_bytes: int | None
    """Free space of the storage; None where it cannot be seen"""
    slot_bytes: int | None
    """Memory of the largest drawn trial, by the measured ones: of the workers' GPUs, else of its slot's processes"""
    probe_seconds: float
    """Time that the estimate took"""
    warnings: Sequence[str]


def estimate_cost(sweep: Sweep, *, num_nodes: int, max_models: int, announce: Callable[[str], None]) -> SweepCost:
    """Check a sweep, measure a few steps of its models on this machine, and estimate what it costs.

    Starts nothing of Ray, and writes nothing but decoded images.

    Args:
        sweep: The sweep, as its first start would run it.
        num_nodes: Number of machines like this one that the sweep will run on.
        max_models: Most models to measure; those that the space draws most often are taken.
        announce: Told what is checked, decoded and measured.

    Raises:
        SegrayError: The sweep cannot work, or a model does not fit into the device's memory.
    """
    check_values(sweep)
    if sweep.resume:
        raise ConfigError("an estimate is of a whole sweep, from its first start; leave --resume out")
    # Optuna announces each study that is created.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    nodes = [this_machine()] * num_nodes
    plan = make_plan(sweep.resources, nodes, sweep.trials)
    gpu_bytes = largest_gpu_bytes() if plan.gpus_per_worker else None
    checked = check(
        sweep,
        num_workers=plan.workers_per_trial,
        announce=announce,
        cpu_threads=plan.cpu_threads,
        gpu_bytes=gpu_bytes,
        worker_bytes=worker_bytes(plan, nodes, gpu_bytes),
    )
    started = time.monotonic()
    device = torch.device("cuda" if plan.gpus_per_worker else "cpu")
    # A first trial says what is drawn; the space adds what follows from it.
    begun = [draw_point(checked.space, Point(point, first_of)).values for point in checked.first_trials]
    random = draw_samples(checked.space).values[:NUM_RANDOM]
    first, drawn = ([checked.base.with_values(values) for values in points] for points in (begun, random))
    timings = time_models(first, drawn, checked.data, plan, device, max_models=max_models, announce=announce)
    cost = _cost(sweep, checked.max_epochs, first, drawn, timings, time.monotonic() - started)
    memory_bytes = int(sum(node.get("memory", 0.0) for node in nodes))
    return replace(cost, warnings=tuple(_warnings(cost, sweep, memory_bytes)))


def _cost(
    sweep: Sweep,
    max_epochs: int,
    first: Sequence[RunConfig],
    drawn: Sequence[RunConfig],
    timings: Timings,
    probe_seconds: float,
) -> SweepCost:
    plan, kind = timings.plan, find_scheduler(sweep.chosen_scheduler)
    # The model that is drawn most often is measured, so the list is not empty.
    seconds = [known for config in drawn if (known := timings.trial_seconds(config)) is not None]
    mean, mean_epochs = fmean(seconds), fmean(config.train.epochs for config in drawn)
    whole = None if sweep.minutes is None else plan.slots * int(60 * sweep.minutes / mean)
    # A search begins a trial even where its time is too short for one.
    trials = min(count for count in (sweep.trials, None if whole is None else max(1, whole)) if count is not None)
    given = first[:trials]
    search_seconds = sum(timings.trial_seconds(config) or mean for config in given) + (trials - len(given)) * mean
    # The best trials and the first one; a race may end before all have had their seeds.
    repeats = (max(sweep.confirm, 1) + 1) * sweep.num_seeds
    repeat_seconds = repeats * mean
    num_epochs = sum(config.train.epochs for config in given) + (trials - len(given) + repeats) * mean_epochs
    least_share = kind.least_share(sweep.stopping(max_epochs))
    # In a time budget, trials that stop early make room for more.
    begun = trials if whole is None else min(sweep.trials or sys.maxsize, plan.slots + math.ceil(trials / least_share))
    disk_bytes, most_disk_bytes = _disk(timings.models, plan.slots, begun, repeats, pauses=kind.pauses)
    return SweepCost(
        plan=plan,
        device=timings.device.type,
        timings=timings,
        trials=trials,
        whole_trials_in_time=whole,
        repeats=repeats,
        epochs=round(num_epochs),
        trial_seconds=(min(seconds), mean, max(seconds)),
        worker_seconds=(search_seconds + repeat_seconds) * plan.workers_per_trial,
        seconds=max(mean, search_seconds / plan.slots) + repeat_seconds / plan.slots,
        scheduler=sweep.chosen_scheduler,
        most_left_out=(trials - 1) / trials * (1 - least_share),
        disk_bytes=disk_bytes,
        most_disk_bytes=most_disk_bytes,
        free_disk_bytes=_free_bytes(sweep.storage),
        slot_bytes=_slot_bytes(timings, [*first, *drawn]),
        probe_seconds=probe_seconds,
        warnings=(),
    )


def _disk(models: Sequence[TimedModel], slots: int, trials: int, repeats: int, *, pauses: bool) -> tuple[int, int]:
    """Return the bytes of the checkpoints at the end, and at most while trials run."""
    draws = [max(1, model.draws) for model in models]
    mean = sum(count * model.probe.model_bytes for count, model in zip(draws, models, strict=True)) / sum(draws)
    whole = max(model.probe.model_bytes + model.probe.training_bytes for model in models)
    # A trial that is not over has its best and its last checkpoint; one that runs writes a third.
    not_over = trials if pauses else min(slots, trials)
    running = 2 * not_over * whole + min(slots, trials) * whole
    return round((trials + repeats) * mean), round(running + (trials - not_over + repeats) * mean)


def _free_bytes(storage: str) -> int | None:
    folder = open_folder(storage)
    if not folder.is_local:
        return None
    path = Path(folder.path)
    return shutil.disk_usage(next(place for place in (path, *path.parents) if place.exists())).free


def _slot_bytes(timings: Timings, configs: Sequence[RunConfig]) -> int | None:
    peaks = [peak for config in configs if (peak := timings.peak_bytes(config)) is not None]
    if not peaks:
        return None
    plan = timings.plan
    return plan.workers_per_trial * max(peaks) + (0 if plan.gpus_per_worker else HELPERS_BYTES)


def _warnings(cost: SweepCost, sweep: Sweep, memory_bytes: int) -> Iterator[str]:
    """Yield what the sweep's budget or this machine cannot hold, and what the measurements leave out."""
    shortest, mean, longest = (text.duration(seconds) for seconds in cost.trial_seconds)
    if cost.whole_trials_in_time == 0:
        yield f"--minutes {sweep.minutes:g} is shorter than a trial, which takes {mean} on average"
    elif sweep.trials is not None and cost.whole_trials_in_time is not None and cost.trials < sweep.trials:
        yield f"--minutes {sweep.minutes:g} is enough for about {cost.trials} of {sweep.trials} whole trials"
    limit = sweep.limits.trial_minutes
    if limit is not None and cost.trial_seconds[2] > 60 * limit:
        yield f"--trial-timeout {limit:g} ends trials before their last epoch: they take {shortest} to {longest}"
    if cost.free_disk_bytes is not None and cost.most_disk_bytes > cost.free_disk_bytes:
        yield (
            f"checkpoints may take {text.data_size(cost.most_disk_bytes)}, but {sweep.storage} has "
            f"{text.data_size(cost.free_disk_bytes)} free"
        )
    for model in cost.timings.models:
        if model.probe.micro_batches > 1:
            yield (
                f"{model.name}: a batch of {model.probe.batch_size} images does not fit into the GPU's memory; it is "
                f"split into {model.probe.micro_batches} parts"
            )
    if cost.device == "cpu" and cost.slot_bytes and cost.plan.slots * cost.slot_bytes > memory_bytes > 0:
        yield (
            f"{text.counted(cost.plan.slots, 'trial')} at once may take "
            f"{text.data_size(cost.plan.slots * cost.slot_bytes)} of memory, but there are "
            f"{text.data_size(memory_bytes)}; raise --cpus-per-worker, so that fewer run at once"
        )
