"""The floating-point precision that a device computes in."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the dtype of autocast; ``auto`` is bfloat16 if the hardware computes in bfloat16, else float32.

    Emulated bfloat16 does not count, because it is slower than float32.
    """
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return an autocast context, off for float32; bfloat16 has the range of float32 and needs no loss scaling."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(cpu.get("avx512_bf16") or cpu.get("amx_bf16"))
