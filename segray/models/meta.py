"""Networks on torch's meta device, without memory or arithmetic: names, shapes and errors are real, values are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import batch_norm, hardtanh
from torch.overrides import TorchFunctionMode


@contextmanager
def without_memory() -> Iterator[None]:
    """Build modules on the meta device; the largest encoder takes a second instead of a minute of random numbers."""
    with torch.device("meta"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """A mode without initial values, except of ``torch.linspace``: transformers read their blocks' drop rates there."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        kwargs = dict(kwargs or {})
        # On the meta device these calls run as Python code, which took more than half of a build's time.
        if getattr(func, "__module__", "") == "torch.nn.init" and "tensor" in kwargs and kwargs["tensor"].is_meta:
            return kwargs["tensor"]
        if func is torch.linspace:
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


class ShapesOnly(TorchFunctionMode):
    """A mode that skips batch normalisation and ReLU6, where a network on the meta device spends most time."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Return an empty output of the input's shape; one value per channel still raises batch_norm's own error."""
        if func is hardtanh or (func is batch_norm and args[0].numel() > args[0].shape[1]):
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))
