"""Kernels that give the same bits every time, for as long as one run asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Take deterministic kernels inside, where PyTorch has them; it warns of the others. Afterwards all is as before.

    Args:
        wanted: False changes nothing.
    """
    if not wanted:
        yield
        return
    was_on, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    tuned, workspace = torch.backends.cudnn.benchmark, os.environ.get(_CUBLAS)
    # cuBLAS reads it when the process first multiplies matrices on a GPU, and never again.
    os.environ.setdefault(_CUBLAS, ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_on, warn_only=warned)
        torch.backends.cudnn.benchmark = tuned
        if workspace is None:
            del os.environ[_CUBLAS]
