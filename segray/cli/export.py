"""``segray export``: write a trained model as a model folder, an ONNX file or a torch.export file."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segray.cli import model_options
from segray.cli.sizes import parse_size
from segray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segray.config import SizePx
    from segray.inference.export.export import ExportedFile
    from segray.inference.export.int8 import Int8Cost

FORMATS = {".onnx": "onnx", ".pt2": "torch"}
_CHOICES = ("folder", "onnx", "torch")


def export(
    run: model_options.Run,
    to: Annotated[Path, typer.Option(metavar="PATH", help="Folder, .onnx or .pt2 file to write")],
    trial: model_options.Trial = None,
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(metavar="FORMAT", help="folder, onnx or torch (default: by the suffix of --to)")
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="HxW", help="Fixed size, one file each; repeatable, or a list 256x512,512x1024"),
    ] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Resize to data.resize_px and back inside the file")] = False,
    argmax: Annotated[bool, typer.Option("--argmax", help="Give labels (uint8) in place of logits")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also write an int8 ONNX file, and measure its cost")] = False,
    photos: Annotated[
        list[Path] | None, typer.Option(help="Photos or folders to compare on (default: validation images)")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Folder of the data set, if it lies elsewhere here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Export a trained model; files are compared with PyTorch on real photos before they are written."""
    if "://" in str(to) or str(to).startswith("s3:/"):
        raise ConfigError(f"--to must be a path on this machine, but is {str(to)!r}; export here, then copy it there")
    kind = _kind(to, format)
    sizes_px = tuple(parse_size("--size", part) for item in size or () for part in item.split(","))
    _check_options(kind, to, file_only={"--size": size, "--resize": resize, "--argmax": argmax}, int8=int8)
    if kind == "folder":
        _export_folder(run, trial, to, as_json=as_json)
        return
    from segray.engine.checkpoint import load_checkpoint
    from segray.inference.export import export as exporting
    from segray.inference.export.graph import GraphOptions
    from segray.inference.export.onnx_file import check_installed
    from segray.inference.export.photos import find_photos
    from segray.inference.location import find_model
    from segray.inference.split_data import with_data_at

    if kind == "onnx":
        check_installed()
    announce = partial(print, file=sys.stderr, flush=True)
    location = find_model(run, trial)
    model, config, label_space = load_checkpoint(location.folder)
    if data is not None:
        config = with_data_at(config, data, None)
    exporting.check_targets(to, sizes_px, config)
    found = find_photos(photos or (), config, location, limit=32 if int8 else 6)
    request = exporting.ExportRequest(
        model=model,
        config=config,
        label_space=label_space,
        title=location.title,
        target=to,
        format="onnx" if kind == "onnx" else "torch",
        options=GraphOptions(resize=resize, argmax=argmax),
        sizes_px=tuple(dict.fromkeys(sizes_px)),
        photos=found.arrays,
    )
    written = exporting.export_files(request, announce)
    costs = exporting.export_int8(request, written, announce) if int8 else {}
    if as_json:
        print(json.dumps(_as_json(written, costs, found.source), indent=2))
    else:
        _print_files(written, costs, found.source)
        if config.data.resize_px is not None and not resize:
            _print_hint(config.data.resize_px, request.sizes_px)


def _kind(to: Path, asked: str | None) -> str:
    if asked is None:
        return FORMATS.get(to.suffix.lower(), "folder")
    if asked not in _CHOICES:
        raise ConfigError(f"--format must be folder, onnx or torch, but got {asked!r}")
    return asked


def _check_options(kind: str, to: Path, *, file_only: dict[str, object], int8: bool) -> None:
    given = [name for name, value in file_only.items() if value] + (["--int8"] if int8 else [])
    if kind == "folder" and given:
        raise ConfigError(f"{given[0]} is for .onnx and .pt2 files, but --to {str(to)!r} is a model folder")
    if kind == "torch" and int8:
        raise ConfigError("--int8 is for ONNX files, but --to names a torch.export file; name a .onnx file")
    if kind != "folder" and to.suffix.lower() != {"onnx": ".onnx", "torch": ".pt2"}[kind]:
        wanted = ".onnx" if kind == "onnx" else ".pt2"
        raise ConfigError(f"--format {kind} writes a file whose name ends in {wanted}, but --to is {str(to)!r}")


def _export_folder(run: str, trial: str | None, to: Path, *, as_json: bool) -> None:
    from segray import text
    from segray.engine.checkpoint import load_checkpoint
    from segray.inference.export.model_folder import write_model_folder
    from segray.inference.location import find_model
    from segray.shown import printable

    location = find_model(run, trial)
    model, config, label_space = load_checkpoint(location.folder)
    record = write_model_folder(to, model, config, label_space, location)
    if as_json:
        print(record.model_dump_json(indent=2))
        return
    size = text.data_size(sum(file.num_bytes for file in record.files.values()))
    print(printable(f"wrote {to} ({size}): {record.title}; README.md says what it is and how to load it"))


def _print_files(written: list[ExportedFile], costs: dict[Path, Int8Cost], source: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from segray import text
    from segray.shown import cell, printable

    console = Console(highlight=False)
    for file in written:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in ("size", "photos", "labels agree", "largest logit difference"):
            table.add_column(name, justify="left" if name == "size" else "right")
        for found in file.agreements:
            logits = text.MISSING if found.logits is None else f"{found.logits:.1e}"
            size = f"{found.size_px[0]}x{found.size_px[1]}"
            table.add_row(cell(size), str(found.num_photos), f"{100 * found.labels:.3f} %", logits)
        takes = "photos of any size" if file.size_px is None else f"photos of {file.size_px[0]}x{file.size_px[1]} px"
        line = (
            f"wrote {file.path} ({text.data_size(len(file.content))}) for {takes}; it agrees with PyTorch on {source}:"
        )
        console.print(printable(line), markup=False, soft_wrap=True)
        console.print(table)
    for path, cost in costs.items():
        console.print(printable(f"wrote {path}: {_cost_in_words(cost)}"), markup=False, soft_wrap=True)


def _cost_in_words(cost: Int8Cost) -> str:
    from segray import text

    found = f"int8; {100 * cost.agreement:.2f} % of labels as in float32 on {cost.num_images} photos"
    if cost.float_miou is None or cost.int8_miou is None:
        return found
    change = text.points(cost.int8_miou - cost.float_miou)
    return (
        f"{found}; mIoU on validation labels, at the size of training, {text.percent(cost.int8_miou)}, in float32 "
        f"{text.percent(cost.float_miou)} ({change})"
    )


def _print_hint(resize_px: SizePx, sizes_px: Sequence[SizePx]) -> None:
    trained = f"{resize_px[0]}x{resize_px[1]}"
    if others := ", ".join(f"{size[0]}x{size[1]}" for size in sizes_px if size != resize_px):
        print(
            f"the model was trained on photos of {trained} px, so its labels at {others} may be worse; --resize puts "
            "the resizing to that size and back inside"
        )
    else:
        print(
            f"resize photos to {trained} px before you give them to the file, as in training, or export with --resize"
        )


def _as_json(written: list[ExportedFile], costs: dict[Path, Int8Cost], source: str) -> dict[str, Any]:
    from dataclasses import asdict

    files = [
        {
            "path": str(file.path),
            "num_bytes": len(file.content),
            "size_px": file.size_px,
            "agreements": [asdict(found) for found in file.agreements],
        }
        for file in written
    ]
    return {"photos": source, "files": files, "int8": {str(path): asdict(cost) for path, cost in costs.items()}}
