"""Networks without memory or arithmetic, on torch's meta device: only names, shapes and errors are real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode


@contextmanager
def without_memory() -> Iterator[None]:
    """Build modules without memory: the largest encoder takes a second, not a minute of random numbers."""
    with torch.device("meta"), _RealLinspace():
        yield


class _RealLinspace(TorchFunctionMode):
    """Lets transformers read the drop rates of their blocks, which they lay out by ``torch.linspace``."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


class ShapesOnly(TorchFunctionMode):
    """Runs a network on the meta device without batch normalisation's arithmetic, which is most of its time there."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Give an output of the input's shape; of one value per channel, which the function refuses, what it gives."""
        if func is batch_norm and args[0].numel() > args[0].shape[1]:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))
