"""The ways to run a model that a benchmark compares: eager PyTorch, torch.compile, ONNX Runtime."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from segray.config import SizePx
from segray.engine.precision import autocast
from segray.errors import ConfigError, ResourceError
from segray.foreign import in_short
from segray.inference.export.comparison import LEAST_AGREEMENT
from segray.inference.export.graph import GraphOptions, ModelGraph
from segray.inference.export.onnx_file import open_session, run_session, to_onnx
from segray.inference.export.trace import trace
from segray.inference.predictor import Predictor


class Setting(NamedTuple):
    """The work that a backend is prepared for."""

    model: Predictor
    photos_BCHW: NDArray[np.uint8]
    num_threads: int
    """Threads of one operation on the CPU, the same for all backends"""

    @property
    def size_px(self) -> SizePx:
        """The photos' size."""
        return self.photos_BCHW.shape[2], self.photos_BCHW.shape[3]


class SkippedError(Exception):
    """A backend that cannot run here; the message says why."""


def prepare_backend(name: str, setting: Setting) -> Callable[[], object]:
    """Return the call that predicts the photos of a setting once, from photos on the device to logits.

    Raises:
        SkippedError: The backend cannot run here.
    """
    try:
        call = {"eager": _eager, "compiled": _compiled, "onnx": _onnx}[name](setting)
        call()
    except torch.OutOfMemoryError as error:
        raise SkippedError(f"the device has too little memory: {in_short(error)}") from None
    except ResourceError as error:
        raise SkippedError(str(error)) from None
    return call


def _eager(setting: Setting) -> Callable[[], object]:
    photos_BCHW = torch.from_numpy(setting.photos_BCHW).to(setting.model.device)
    return lambda: setting.model.forward(photos_BCHW)


def _compiled(setting: Setting) -> Callable[[], object]:
    predictor = setting.model
    if predictor.device.type == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        raise SkippedError("torch.compile needs a C++ compiler, and there is none; install g++ or clang++")
    # Each size compiles the same code anew, and after eight times PyTorch would silently run it eagerly.
    torch._dynamo.reset()
    compiled = torch.compile(predictor.models[0], dynamic=False)
    photos_BCHW = torch.from_numpy(setting.photos_BCHW).to(predictor.device)
    if predictor.config.train.channels_last:
        photos_BCHW = photos_BCHW.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def call() -> object:
        with autocast(predictor.device, predictor.precision):
            return compiled(photos_BCHW).float()

    try:
        call()
    except Exception as error:  # the compiler's own errors have many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise SkippedError(f"torch.compile fails: {reason}") from None
    return call


def _onnx(setting: Setting) -> Callable[[], object]:
    """Export for the size of the setting, and run it on the CPU; the logits must agree with PyTorch's."""
    model = setting.model
    if model.device.type != "cpu":
        raise SkippedError("ONNX Runtime is measured on the CPU; add --device cpu")
    graph = ModelGraph(model.models[0], GraphOptions(), resize_px=None, free_size=False)
    try:
        session = open_session(to_onnx(trace(graph, setting.size_px), "logits", {}), setting.num_threads)
    except ConfigError as error:
        raise SkippedError(str(error)) from None
    photos_BCHW = setting.photos_BCHW
    with torch.inference_mode():
        expected = model.models[0](torch.from_numpy(photos_BCHW)).argmax(dim=1).numpy()
    agreement = (run_session(session, photos_BCHW).argmax(axis=1) == expected).mean()
    if agreement < LEAST_AGREEMENT:
        raise SkippedError(f"its labels agree with PyTorch's on only {100 * agreement:.1f} % of pixels")
    return lambda: run_session(session, photos_BCHW)
