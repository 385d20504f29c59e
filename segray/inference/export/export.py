"""The export of a model as ONNX or ``torch.export`` files, each compared with PyTorch before it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal

from segray.config import RunConfig, SizePx
from segray.errors import StorageError
from segray.files import output_path, write_whole
from segray.inference.export import onnx_file, trace
from segray.inference.export.comparison import Agreement, Photos, Reference, Run, check, compare
from segray.inference.export.graph import GraphOptions, ModelGraph
from segray.inference.export.int8 import Int8Cost, int8_cost, quantise
from segray.inference.export.preprocessing import metadata
from segray.labels import LabelSpace
from segray.models import SegmentationModel

Format = Literal["onnx", "torch"]
SUFFIXES: Final[dict[Format, str]] = {"onnx": ".onnx", "torch": ".pt2"}
MOST_PIXELS: Final = 2**18
"""Most pixels of the photos in a comparison of free sizes, so that it takes seconds."""


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The choice of what to export, and how."""

    model: SegmentationModel
    """In eval mode, on the CPU"""
    config: RunConfig
    label_space: LabelSpace
    title: str
    """The model in a few words"""
    target: Path
    """File to write; with several sizes, -HxW is added to its name"""
    format: Format
    options: GraphOptions = field(default_factory=GraphOptions)
    sizes_px: tuple[SizePx, ...] = ()
    """Fixed sizes, one file each; none for one file that takes photos of any size"""
    photos: Sequence[Photos]
    """Real photos to compare on"""


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """A file that was compared with PyTorch and written."""

    path: Path
    content: bytes = field(repr=False)
    size_px: SizePx | None
    """The fixed size; None if it takes photos of any size"""
    agreements: Sequence[Agreement]


def export_files(request: ExportRequest, announce: Callable[[str], None] = print) -> list[ExportedFile]:
    """Export a model, compare each file with PyTorch, and then write them.

    Args:
        request: What to export.
        announce: Told what is being done, because tracing takes a while.

    Raises:
        ConfigError: The model cannot be exported like that, or a file does not agree with PyTorch.
        StorageError: A file cannot be written.
    """
    targets = check_targets(request.target, request.sizes_px, request.config)
    found = []
    for size_px, target in targets.items():
        announce(f"tracing {target.name}{'' if size_px is None else f' for {size_px[0]}x{size_px[1]} px'}")
        graph = _graph(request, size_px)
        content, run = _encode(request, graph, size_px)
        announce(f"comparing {target.name} with PyTorch")
        agreements = compare(run, _reference(request), request.photos, _batches(request, graph, size_px))
        what, fix = _words(size_px)
        check(agreements, what=what, fix=fix)
        found.append(ExportedFile(path=target, content=content, size_px=size_px, agreements=agreements))
    for exported in found:
        _write(exported.path, exported.content)
    return found


def _words(size_px: SizePx | None) -> tuple[str, str]:
    """Return what an export is called in an error, and the way out."""
    if size_px is None:
        return "an export for any size", "nothing was written; export fixed sizes with --size HxW, which may be a list"
    size = f"{size_px[0]}x{size_px[1]}"
    return f"the export for {size} px", "nothing was written; load the model with segray.load_model"


def check_targets(target: Path, sizes_px: Sequence[SizePx], config: RunConfig) -> dict[SizePx | None, Path]:
    """Return the file for each fixed size, or the one for photos of any size.

    Raises:
        StorageError: A file cannot be written there, or would lie in the data set or among a sweep's files.
    """
    root = config.data.root
    if len(sizes_px) <= 1:
        return {(sizes_px[0] if sizes_px else None): output_path(target, data_root=root)}
    named = {size_px: f"{target.stem}-{size_px[0]}x{size_px[1]}{target.suffix}" for size_px in sizes_px}
    return {size_px: output_path(target.with_name(name), data_root=root) for size_px, name in named.items()}


def _graph(request: ExportRequest, size_px: SizePx | None) -> ModelGraph:
    resize_px = request.config.data.resize_px
    return ModelGraph(request.model, request.options, resize_px=resize_px, free_size=size_px is None)


def _encode(request: ExportRequest, graph: ModelGraph, size_px: SizePx | None) -> tuple[bytes, Run]:
    """Return the content of a file, and the function that it holds."""
    program = trace.trace(graph, size_px)
    facts = metadata(request.model, request.config, request.label_space, request.options, request.title)
    if request.format == "torch":
        content = trace.to_pt2(program, facts)
        return content, trace.open_pt2(content)
    content = onnx_file.to_onnx(program, "labels" if request.options.argmax else "logits", facts)
    return content, partial(onnx_file.run_session, onnx_file.open_session(content))


def _reference(request: ExportRequest) -> Run:
    return Reference(request.model, request.config.data.resize_px if request.options.resize else None)


def _batches(request: ExportRequest, graph: ModelGraph, size_px: SizePx | None) -> list[tuple[int, SizePx]]:
    """Return the batches to compare on: of one photo and of three, at several sizes if sizes are free."""
    if size_px is not None:
        return [(1, size_px), (3, size_px)]
    traced_px = trace.traced_size(graph)
    usual_px = usual_size(request.config, request.photos[0])
    height, width = usual_px
    sizes_px = [
        usual_px,
        traced_px,
        (2 * traced_px[0], 2 * traced_px[1]),
        (max(height * 2 // 3, 1) | 1, max(width * 3 // 4, 1) | 1),
        (width, max(height // 2, 1)),
        (37, 51),
    ]
    return [(1, size) for size in sizes_px] + [(3, traced_px)]


def usual_size(config: RunConfig, photo: Photos) -> SizePx:
    """Return the size that the model works at, shrunk to at most ``MOST_PIXELS``."""
    height, width = config.data.resize_px or (photo.shape[2], photo.shape[3])
    factor = min(math.sqrt(MOST_PIXELS / (height * width)), 1.0)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def export_int8(
    request: ExportRequest, written: Sequence[ExportedFile], announce: Callable[[str], None] = print
) -> dict[Path, Int8Cost]:
    """Write an int8 file beside each ONNX file, with -int8 added to its name, and measure what int8 costs.

    Args:
        request: The request that the files were written for; its photos also calibrate.
        written: What ``export_files`` returned.
        announce: Told what is being done.

    Returns:
        Path of each int8 file -> its cost.

    Raises:
        StorageError: A file cannot be written.
    """
    costs = {}
    for exported in written:
        size_px = exported.size_px or usual_size(request.config, request.photos[0])
        target = output_path(exported.path.with_name(f"{exported.path.stem}-int8{exported.path.suffix}"))
        announce(f"quantising {target.name} with {len(request.photos)} photos")
        content = quantise(exported.content, request.photos, size_px)
        costs[target] = int8_cost(
            exported.content,
            content,
            request.config,
            request.photos,
            size_px,
            is_fixed=exported.size_px is not None,
            announce=announce,
        )
        _write(target, content)
    return costs
