"""Traces of a model with ``torch.export``: free in the number of photos, and on request in their size."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from segray.config import SizePx
from segray.errors import ConfigError
from segray.inference.export.comparison import Run
from segray.inference.export.graph import ModelGraph

METADATA_FILE: Final = "segray.json"
"""Extra file in a .pt2 file, with the metadata"""


def trace(graph: ModelGraph, size_px: SizePx | None) -> torch.export.ExportedProgram:
    """Return the trace of a graph.

    Args:
        graph: The model.
        size_px: (height, width) of all photos; None for photos of any size.

    Raises:
        ConfigError: The model cannot be traced like that.
    """
    free = torch.export.Dim.DYNAMIC
    shapes = {0: free} if size_px else {0: free, 2: free, 3: free}
    photos_BCHW = torch.zeros(2, 3, *(size_px or traced_size(graph)), dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of libraries, about their own code
            return torch.export.export(
                graph, (photos_BCHW,), dynamic_shapes=(shapes,), prefer_deferred_runtime_asserts_over_guards=True
            )
    except Exception as error:  # the tracer raises many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        fix = "it may work with fixed sizes: --size HxW" if size_px is None else "load it with segray.load_model"
        raise ConfigError(f"this model cannot be traced ({reason}); {fix}") from None


def traced_size(graph: ModelGraph) -> SizePx:
    """Return the size to trace with: no multiple of the stride, because the trace records what differs from this."""
    smallest_px = max(graph.model.min_side_px, 3 * graph.model.stride)
    return smallest_px + 5, smallest_px + graph.model.stride + 7


def to_pt2(program: torch.export.ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    """Return the content of a ``torch.export`` file."""
    import json

    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA_FILE: json.dumps(dict(metadata))})
    return buffer.getvalue()


def open_pt2(content: bytes) -> Run:
    """Return the function of a ``torch.export`` file."""
    module = torch.export.load(io.BytesIO(content)).module()

    @torch.inference_mode()
    def run(photos_BCHW: NDArray[np.uint8]) -> NDArray[np.generic]:
        output: NDArray[np.generic] = module(torch.from_numpy(photos_BCHW)).numpy()
        return output

    return run
