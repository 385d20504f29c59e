"""Deterministic kernels, switched on for the length of one run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Use PyTorch's deterministic kernels inside the context, and restore the settings afterwards.

    PyTorch warns about an operation that has no deterministic kernel.

    Args:
        wanted: False changes nothing.
    """
    if not wanted:
        yield
        return
    was_on, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    tuned, workspace = torch.backends.cudnn.benchmark, os.environ.get(_CUBLAS)
    # cuBLAS reads this variable once, when the process first multiplies matrices on a GPU.
    os.environ.setdefault(_CUBLAS, ":4096:8")
    # The benchmark chooses kernels by their speed, which varies from run to run.
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_on, warn_only=warned)
        torch.backends.cudnn.benchmark = tuned
        if workspace is None:
            del os.environ[_CUBLAS]
