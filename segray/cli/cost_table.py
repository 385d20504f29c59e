"""The output of ``segray preflight``: a table for a person, or JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from segray import text
from segray.shown import cell, printable

if TYPE_CHECKING:
    from segray.tuning.preflight.cost import SweepCost
    from segray.tuning.preflight.timing import TimedModel


def print_cost(cost: SweepCost, *, as_json: bool = False) -> None:
    """Print what a sweep will cost.

    Args:
        cost: The estimate.
        as_json: Print one JSON object.
    """
    if as_json:
        print(json.dumps(_as_json(cost), indent=2, allow_nan=False))
        return
    console = Console(highlight=False)
    console.width = max(console.width, 110)
    console.print(_models_table(cost))
    for line in (f"{_timed(cost)}\n", *_lines(cost)):
        console.print(printable(line), markup=False, soft_wrap=True)


def _models_table(cost: SweepCost) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("model", "drawn", "parameters", "batch", "step", "epoch", "checkpoint", "peak memory"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=True)
    for model in cost.timings.models:
        table.add_row(*_cells(model, cost))
    return table


def _cells(model: TimedModel, cost: SweepCost) -> list[str]:
    measured = model.probe
    return [
        cell(model.name),
        text.percent(_share(model, cost)),
        f"{measured.num_parameters / 1e6:.2f} M",
        str(measured.batch_size),
        _short(measured.step_seconds),
        text.duration(cost.timings.epoch_seconds(model.config, model)),
        text.data_size(measured.model_bytes + measured.training_bytes),
        text.MISSING if measured.peak_bytes is None else text.data_size(measured.peak_bytes),
    ]


def _timed(cost: SweepCost) -> str:
    timed = text.counted(cost.timings.num_models, "drawn model")
    share = sum(_share(model, cost) for model in cost.timings.models)
    of = f"{len(cost.timings.models)} of {timed} ({text.percent(share)} of the draws)"
    alone = ", each alone" if cost.plan.slots > 1 else ""
    workers = ", without the exchange of gradients" if cost.plan.workers_per_trial > 1 else ""
    where = "on the GPU" if cost.device == "cuda" else "on the CPU"
    return f"{of} measured {where}{alone}{workers}, in {text.duration(cost.probe_seconds)}"


def _lines(cost: SweepCost) -> Iterator[str]:
    shortest, mean, longest = map(text.duration, cost.trial_seconds)
    repeats = f" and {text.counted(cost.repeats, 'repeat')}" if cost.repeats else ""
    spread = mean if shortest == longest else f"{mean} on average, {shortest} to {longest}"
    yield f"planned for   {cost.plan.describe()}"
    yield f"trials        {cost.trials}{repeats}: {cost.epochs} epochs; a whole trial takes {spread}"
    if cost.whole_trials_in_time is not None:
        yield f"in the time   {text.counted(cost.whole_trials_in_time, 'whole trial')}"
    yield f"time          {text.duration(cost.seconds)} if no trial stops early"
    unit = "GPU" if cost.plan.gpus_per_worker else "CPU"
    yield f"compute       {_device_hours(cost):.2g} {unit}-hours"
    if cost.most_left_out > 0:
        most = text.percent(cost.most_left_out)
        yield f"not trained   0 to {most} of the search's epochs, as {cost.scheduler} will decide"
    free = "" if cost.free_disk_bytes is None else f"; {text.data_size(cost.free_disk_bytes)} are free"
    most = text.data_size(cost.most_disk_bytes)
    yield f"checkpoints   {text.data_size(cost.disk_bytes)} at the end, at most {most} while it runs{free}"
    if cost.slot_bytes is not None:
        whose = "GPU memory" if cost.plan.gpus_per_worker else "memory"
        size = text.data_size(cost.slot_bytes)
        yield f"memory        {size} of {whose} for the largest drawn trial, from the measured ones"
    for warning in cost.warnings:
        yield f"warning: {warning}"


def _share(model: TimedModel, cost: SweepCost) -> float:
    return model.draws / cost.timings.num_draws


def _device_hours(cost: SweepCost) -> float:
    devices = cost.plan.gpus_per_worker or cost.plan.cpus_per_worker
    return cost.worker_seconds * devices / 3600


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _as_json(cost: SweepCost) -> dict[str, Any]:
    values = {name: value for name, value in vars(cost).items() if name not in ("plan", "timings", "trial_seconds")}
    shortest, mean, longest = cost.trial_seconds
    models = [
        {
            "name": model.name,
            "share_of_draws": _share(model, cost),
            "epoch_seconds": cost.timings.epoch_seconds(model.config, model),
            **asdict(model.probe),
        }
        for model in cost.timings.models
    ]
    return {
        **values,
        "shortest_trial_seconds": shortest,
        "mean_trial_seconds": mean,
        "longest_trial_seconds": longest,
        "device_hours": _device_hours(cost),
        "plan": asdict(cost.plan),
        "drawn_models": cost.timings.num_models,
        "models": models,
    }
