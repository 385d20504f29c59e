"""The peak memory of a run."""

from __future__ import annotations

from pathlib import Path

import torch

from segray.engine.distributed import max_over_ranks

_PROCESS = Path("/proc/self")


class PeakMemory:
    """A meter of peak memory since its creation: allocated memory on a GPU, else the process's resident memory.

    A process that trains several runs needs one meter per run, because the process's own peak is that of its largest
    run so far.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_known = device.type == "cuda" or _forget_resident_peak()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def num_bytes(self) -> int | None:
        """Return the maximum over ranks; None if no rank can measure, as only Linux lets a process reset its peak."""
        peak = 0
        if self._is_known:
            on_gpu = self._device.type == "cuda"
            peak = torch.cuda.max_memory_allocated(self._device) if on_gpu else _resident_peak_bytes()
        return int(max_over_ranks(torch.tensor(peak, dtype=torch.int64, device=self._device)).item()) or None


def _forget_resident_peak() -> bool:
    try:
        # Writing 5 resets the peak resident memory (VmHWM); see proc(5).
        (_PROCESS / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident_peak_bytes() -> int:
    lines = (_PROCESS / "status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
