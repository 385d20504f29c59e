"""The benchmark of a trained model: latency, throughput and memory by backend, size and batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from segray.config import SizePx
from segray.engine.memory import PeakMemory
from segray.engine.timing import Timing, time_in_turns
from segray.inference.bench.backends import Setting, SkippedError, prepare_backend
from segray.inference.predictor import Predictor
from segray.models.model_size import flops_per_photo

Announce = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One backend at one size and batch."""

    backend: str
    size_px: SizePx
    batch_size: int
    timing: Timing | None = None
    """Timing of one batch; None if the backend was skipped"""
    peak_memory_bytes: int | None = None
    """Peak while this backend ran: allocated memory on a GPU, else the whole process's; None if it is not known"""
    skipped: str = ""
    """Why the backend was skipped"""

    @property
    def photos_per_second(self) -> float | None:
        """Throughput at the median latency."""
        return self.batch_size / self.timing.median_seconds if self.timing else None


def measure(
    model: Predictor,
    *,
    sizes_px: Sequence[SizePx],
    batch_sizes: Sequence[int],
    backends: Sequence[str],
    num_threads: int,
    rounds: int,
    announce: Announce = print,
) -> list[Measurement]:
    """Measure a model with each backend, at each size, with each batch size.

    A call goes from photos on the device to logits: normalisation, padding and network count; reading, decoding and
    resizing do not.

    Args:
        model: The trained model.
        sizes_px: (height, width) of the photos.
        batch_sizes: Photos a call.
        backends: Names of ``BACKENDS``.
        num_threads: Threads of one operation on the CPU, the same for all backends.
        rounds: Turns of each backend.
        announce: Told what is measured.
    """
    found: list[Measurement] = []
    with _threads(num_threads):
        for size_px in sizes_px:
            for batch_size in batch_sizes:
                announce(f"measuring {size_px[0]}x{size_px[1]} px, batches of {batch_size}")
                found += _measure(Setting(model, _photos(batch_size, size_px), num_threads), backends, rounds)
    return found


def flops(model: Predictor, sizes_px: Sequence[SizePx]) -> dict[SizePx, int]:
    """Return the floating-point operations for one photo of each size; see ``flops_per_photo``."""
    return {size_px: flops_per_photo(model.models[0], size_px) for size_px in sizes_px}


def _measure(setting: Setting, backends: Sequence[str], rounds: int) -> list[Measurement]:
    calls: dict[str, Callable[[], object]] = {}
    skipped: dict[str, str] = {}
    for backend in backends:
        try:
            calls[backend] = prepare_backend(backend, setting)
        except SkippedError as error:
            skipped[backend] = str(error)
    device = setting.model.device
    timings = time_in_turns(calls, rounds=rounds, synchronise=_synchroniser(device))
    peaks = {name: _peak_bytes(call, device) for name, call in calls.items()}
    return [
        Measurement(
            backend=backend,
            size_px=setting.size_px,
            batch_size=len(setting.photos_BCHW),
            timing=timings.get(backend),
            peak_memory_bytes=peaks.get(backend),
            skipped=skipped.get(backend, ""),
        )
        for backend in backends
    ]


def _photos(batch_size: int, size_px: SizePx) -> np.ndarray:
    """Return random photos; the time of a network does not depend on what photos show."""
    return np.random.default_rng(0).integers(0, 256, (batch_size, 3, *size_px), dtype=np.uint8)


def _peak_bytes(call: Callable[[], object], device: torch.device) -> int | None:
    meter = PeakMemory(device)
    call()
    _synchroniser(device)()
    return meter.num_bytes()


def _synchroniser(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
