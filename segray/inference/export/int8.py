"""Static int8 quantisation of an ONNX file with ONNX Runtime, and the accuracy that it costs.

Weights are int8 per output channel, activations uint8; the ranges of activations come from real photos (Jacob et al.,
2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", arXiv 1712.05877).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from segray.config import RunConfig, SizePx
from segray.data.preparation import prepare
from segray.errors import SegrayError
from segray.inference.export.comparison import Photos, Run, at_size
from segray.inference.export.onnx_file import INPUT, check_installed, open_session, run_session
from segray.metrics import confusion_matrix, scores

MOST_IMAGES: Final = 100
"""Most validation images that the cost of int8 is measured on, evenly spread."""
QUANTISED: Final = ("Conv", "ConvTranspose", "MatMul", "Gemm")
"""Operations that are computed in int8; the normalisation before them and the argmax after them stay exact."""


@dataclass(frozen=True, kw_only=True)
class Int8Cost:
    """The cost of int8, on validation images or on the photos that were given."""

    num_images: int
    agreement: float
    """Share of pixels whose label is the same in int8 as in float32"""
    float_miou: float | None = None
    """mIoU of the float32 file on the validation labels; None without labels"""
    int8_miou: float | None = None


def quantise(content: bytes, photos: Sequence[Photos], size_px: SizePx) -> bytes:
    """Return an ONNX file with its convolutions in int8.

    Args:
        content: The float32 file.
        photos: Real photos, from which the ranges of activations are read.
        size_px: The size to resize them to.
    """
    check_installed()
    from onnxruntime import quantization

    class Photographs(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest = iter(photos)

        def get_next(self) -> dict[str, Photos] | None:
            photo = next(self._rest, None)
            return None if photo is None else {INPUT: at_size(photo, size_px)}

    with TemporaryDirectory() as temporary, _quiet():
        given, prepared, written = (Path(temporary) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx"))
        given.write_bytes(content)
        # Folds batch normalisation into convolutions; its shape inference needs sympy and fails on free sizes.
        quantization.shape_inference.quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(written),
            Photographs(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return written.read_bytes()


def int8_cost(
    float_content: bytes,
    int8_content: bytes,
    config: RunConfig,
    photos: Sequence[Photos],
    size_px: SizePx,
    *,
    is_fixed: bool,
    announce: Callable[[str], None],
) -> Int8Cost:
    """Measure what int8 costs: the mIoU on the validation split if it is at hand, else the agreement of labels.

    Args:
        float_content: The float32 file.
        int8_content: The int8 file.
        config: The run's config, which names the data set.
        photos: Photos for the agreement, if the data set is not at hand.
        size_px: The size of these photos.
        is_fixed: Whether the files take only photos of ``size_px``.
        announce: Told what is done, and why the mIoU is not measured.
    """
    runs = [partial(run_session, open_session(content)) for content in (float_content, int8_content)]
    try:
        data = prepare(config.data, announce)
        common_px = data.val.common_size
        reason = ""
        if data.scoring.differs:
            reason = "the model is judged by other classes than it predicts"
        elif is_fixed and common_px != size_px:
            reason = f"validation images have not the fixed size {size_px[0]}x{size_px[1]}"
    except SegrayError as error:
        reason = str(error).splitlines()[0]
    if reason:
        announce(f"the mIoU that int8 costs is not measured: {reason}")
        return _agreement(runs, [at_size(photo, size_px) for photo in photos])
    indices = np.unique(np.linspace(0, len(data.val) - 1, min(len(data.val), MOST_IMAGES)).round().astype(int))
    return _miou_cost(runs, (data.val.pair(int(index)) for index in indices), data.label_space.num_classes)


def _agreement(runs: Sequence[Run], photos: Sequence[Photos]) -> Int8Cost:
    same = [float((_labels(runs[0], photo) == _labels(runs[1], photo)).mean()) for photo in photos]
    return Int8Cost(num_images=len(photos), agreement=float(np.mean(same)))


def _miou_cost(
    runs: Sequence[Run], pairs: Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]], num_classes: int
) -> Int8Cost:
    confusions = [torch.zeros(num_classes, num_classes, dtype=torch.int64) for _ in runs]
    same: list[float] = []
    for photo_HWC, label_HW in pairs:
        photo_1CHW = np.ascontiguousarray(photo_HWC.transpose(2, 0, 1)[None])
        labels = [_labels(run, photo_1CHW) for run in runs]
        same.append(float((labels[0] == labels[1]).mean()))
        truth_1HW = torch.from_numpy(label_HW.copy())[None]
        for confusion, found in zip(confusions, labels, strict=True):
            confusion += confusion_matrix(torch.from_numpy(found.astype(np.int64)), truth_1HW, num_classes)
    float_miou, int8_miou = (scores(confusion).miou for confusion in confusions)
    return Int8Cost(num_images=len(same), agreement=float(np.mean(same)), float_miou=float_miou, int8_miou=int8_miou)


def _labels(run: Run, photos_BCHW: Photos) -> NDArray[np.generic]:
    output = run(photos_BCHW)
    return output.argmax(axis=1) if output.ndim == 4 else output


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantiser's advice, which is given to its developers through the root logger."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
