"""``segray bench``: measure how fast and how large a trained model is."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segray.cli import model_options
from segray.cli.sizes import parse_size
from segray.errors import ConfigError, unknown_name
from segray.inference.bench import BACKENDS

if TYPE_CHECKING:
    from segray.config.section import SizePx
    from segray.inference.bench.bench import Measurement
    from segray.inference.predictor import Predictor


def bench(
    run: model_options.Run,
    trial: model_options.Trial = None,
    device: model_options.Device = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="HxW", help="Photo size, repeatable or a list (default: data.resize_px, else 512x1024)"),
    ] = None,
    batch: Annotated[str, typer.Option(metavar="LIST", help="Photos a call, such as 1,4")] = "1",
    backend: Annotated[str, typer.Option(metavar="LIST", help=f"Any of {', '.join(BACKENDS)}")] = ",".join(BACKENDS),
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads (default: PyTorch's own choice)")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each backend; more are steadier")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Measure latency, images/s, parameters, FLOPs and memory of a trained model."""
    sizes_px = [parse_size("--size", part) for item in size or () for part in item.split(",")]
    batch_sizes = _batches(batch)
    backends = _backends(backend)
    import torch

    from segray.inference.bench.bench import flops, measure

    model = model_options.choose_model(run, trial=trial, device=device).load()
    sizes_px = sizes_px or [model.config.data.resize_px or (512, 1024)]
    num_threads = threads or torch.get_num_threads()
    found = measure(
        model,
        sizes_px=sizes_px,
        batch_sizes=batch_sizes,
        backends=backends,
        num_threads=num_threads,
        rounds=rounds,
        announce=partial(print, file=sys.stderr, flush=True),
    )
    operations = flops(model, sizes_px)
    if as_json:
        print(json.dumps(_as_json(model, found, operations, num_threads), indent=2))
    else:
        _print(model, found, operations, num_threads)


def _batches(given: str) -> list[int]:
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise ConfigError(f"--batch must list whole numbers from 1, such as 1,4, but got {given!r}")
    return list(dict.fromkeys(map(int, parts)))


def _backends(given: str) -> list[str]:
    names = [name.strip() for name in given.split(",")]
    for name in names:
        if name not in BACKENDS:
            raise ConfigError(unknown_name("--backend", name, BACKENDS))
    return list(dict.fromkeys(names))


def _print(model: Predictor, found: list[Measurement], operations: dict[SizePx, int], num_threads: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from segray import text
    from segray.models.model_size import model_size
    from segray.shown import printable

    console = Console(highlight=False)
    console.width = max(console.width, 110)  # a wider line wraps as a whole; rich would cut cells instead
    size = model_size(model.models[0])
    where = f"{num_threads} CPU threads" if model.device.type == "cpu" else str(model.device)
    console.print(
        printable(
            f"{model.title}: {size.num_parameters / 1e6:.2f} million parameters, {text.data_size(size.num_bytes)}; "
            f"{where}, {str(model.precision).removeprefix('torch.')}"
        ),
        soft_wrap=True,
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("size", "batch", "backend", "median", "p95", "images/s", "GFLOPs/image", "peak memory"):
        table.add_column(name, justify="left" if name in ("size", "backend") else "right", no_wrap=True)
    for row in found:
        table.add_row(*_cells(row, operations[row.size_px]))
    console.print(table)
    for line in dict.fromkeys(f"{row.backend} was left out: {row.skipped}" for row in found if row.skipped):
        console.print(printable(line), markup=False, soft_wrap=True)
    memory = "of the whole process" if model.device.type == "cpu" else "allocated on the GPU"
    console.print(
        "One call goes from a batch of photos in memory to logits. FLOPs: convolutions and matrix products, "
        f"multiplication and addition counted apart. Peak memory: {memory}.",
        soft_wrap=True,
    )


def _cells(row: Measurement, num_flops: int) -> list[str]:
    from segray import text

    shape = [f"{row.size_px[0]}x{row.size_px[1]}", str(row.batch_size), row.backend]
    if row.timing is None or row.photos_per_second is None:
        return [*shape, *([text.MISSING] * 5)]
    memory = text.MISSING if row.peak_memory_bytes is None else text.data_size(row.peak_memory_bytes)
    times = [f"{1000 * seconds:.1f} ms" for seconds in (row.timing.median_seconds, row.timing.p95_seconds)]
    return [*shape, *times, f"{row.photos_per_second:.1f}", f"{num_flops / 1e9:.2f}", memory]


def _as_json(
    model: Predictor, found: list[Measurement], operations: dict[SizePx, int], num_threads: int
) -> dict[str, Any]:
    from dataclasses import asdict

    from segray.models.model_size import model_size

    rows = [
        asdict(row) | {"photos_per_second": row.photos_per_second, "flops_per_photo": operations[row.size_px]}
        for row in found
    ]
    return {
        "model": model.title,
        "device": str(model.device),
        "cpu_threads": num_threads,
        "precision": str(model.precision).removeprefix("torch."),
        **asdict(model_size(model.models[0])),
        "measurements": rows,
    }
