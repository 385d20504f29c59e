"""ONNX files of a model, and sessions of ONNX Runtime that run them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from segray.errors import ConfigError

if TYPE_CHECKING:
    import onnx
    import onnxruntime

INPUT, AXES = "photos", ("batch", "height", "width")
_DIMENSIONS = (0, 2, 3)


def check_installed() -> None:
    """Check that the optional packages are installed.

    Raises:
        ConfigError: One is missing; the message says how to install them.
    """
    for package in ("onnx", "onnxruntime", "onnxscript"):
        try:
            __import__(package)
        except ImportError:
            raise ConfigError(
                f"ONNX needs the package {package}, which is not installed; run: pip install 'segray[onnx]'"
            ) from None


def to_onnx(program: torch.export.ExportedProgram, output: str, metadata: Mapping[str, str]) -> bytes:
    """Return the ONNX file of a traced model.

    Args:
        program: The trace; its one input is a batch of photos.
        output: Name of the output.
        metadata: Key -> value, to keep in the file.

    Raises:
        ConfigError: A package is missing, or the model has an operation that ONNX lacks.
    """
    check_installed()
    import onnx

    buffer = io.BytesIO()
    try:
        with _quiet():
            exported = torch.onnx.export(
                program, (), dynamo=True, verbose=False, input_names=[INPUT], output_names=[output]
            )
            assert exported is not None
            exported.save(cast(Any, buffer))  # takes a stream, whatever its annotation says
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(
            f"the model cannot be written as ONNX: {_first_line(error)}; export it as torch.export, to a .pt2 file"
        ) from None
    model = onnx.load_from_string(buffer.getvalue())
    _name_axes(model)
    onnx.helper.set_model_props(model, dict(metadata))
    model.producer_name, model.doc_string = "segray", metadata.get("segray.description", "")
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def open_session(content: bytes, num_threads: int | None = None) -> onnxruntime.InferenceSession:
    """Return a session of ONNX Runtime on the CPU.

    Args:
        content: The ONNX file.
        num_threads: Threads of one operation; None for one per core.
    """
    check_installed()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, photos_BCHW: NDArray[np.uint8]) -> NDArray[np.generic]:
    """Return the output of a session: logits (B, C, H, W) or labels (B, H, W)."""
    output: NDArray[np.generic] = session.run(None, {INPUT: photos_BCHW})[0]
    return output


def _name_axes(model: onnx.ModelProto) -> None:
    """Name the free axes of input and output; the tracer gives them names such as s77."""
    graph: Any = model.graph
    names = {}
    for name, position in zip(AXES, _DIMENSIONS, strict=True):
        if found := graph.input[0].type.tensor_type.shape.dim[position].dim_param:
            names[found] = name
    for value in (graph.input[0], graph.output[0]):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in names:
                dimension.dim_param = names[dimension.dim_param]
    del graph.value_info[:]  # holds the old names; runtimes infer these shapes themselves


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings and progress, which the user can do nothing about."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
