"""The device memory that a training step needs at least, counted on torch's meta device without arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, saved_tensors_hooks
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from segray.config import ModelConfig, RunConfig, SizePx
from segray.models import meta_model

BFLOAT16_BYTES: Final = 2


@dataclass(frozen=True)
class Footprint:
    """Lower bounds of the device memory of a run's training steps, in bytes.

    The bounds leave out the loss, the discriminator, workspaces of kernels, and what the allocator wastes.
    """

    lasting: int
    """Weights, their moving average, and the optimiser's state"""
    gradients: int
    image: int
    """Tensors that the network keeps of one image for the backward pass"""

    def whole(self, num_images: int) -> int:
        """Return the bytes of a step on a batch that is not split."""
        return self.lasting + self.passing(num_images)

    def passing(self, num_images: int) -> int:
        """Return the part of a step on such a batch that the step frees again."""
        return max(num_images * self.image, self.gradients)

    def least(self, num_images: int) -> int:
        """Return the bytes of a step on a batch that may be split into parts of one image."""
        # From the second part on, the gradients of the first one are there during the forward pass.
        return min(self.whole(num_images), self.lasting + self.gradients + self.image)


def footprint(config: RunConfig, num_classes: int, size_px: SizePx, precision: torch.dtype | None = None) -> Footprint:
    """Count the memory of a run.

    Args:
        config: A run whose model passed ``check_model``.
        num_classes: Classes of the data set.
        size_px: (height, width) of the training images.
        precision: dtype of autocast; None for the smaller one that the config allows.
    """
    counted = _count(config.model, num_classes, size_px)
    if precision is None:
        precision = torch.float32 if config.train.precision == "float32" else torch.bfloat16
    optim = config.optim
    states = 2 if optim.name != "sgd" else int(optim.momentum > 0)
    copies = 1 + (config.train.ema_decay is not None)
    return Footprint(
        lasting=copies * counted.weights + states * counted.trained,
        gradients=counted.trained,
        image=counted.image if precision == torch.float32 else counted.half_image,
    )


@dataclass(frozen=True)
class _Counts:
    weights: int
    trained: int
    """Bytes of the parameters that the output depends on; others have no gradient and no optimiser state"""
    image: int
    half_image: int
    """The same in bfloat16"""


@cache
def _count(config: ModelConfig, num_classes: int, size_px: SizePx) -> _Counts:
    model = meta_model(config, num_classes).train()
    own = [*model.parameters(), *model.buffers()]
    weights = {id(tensor.untyped_storage()) for tensor in own}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> None:
        # A storage counts once, however many operations keep it; holding the tensor keeps the id unique.
        kept.setdefault(id(tensor.untyped_storage()), tensor)

    with saved_tensors_hooks(keep, _never), _AsOnGpus():
        output = model(torch.empty(1, 3, *size_px, device="meta", dtype=torch.uint8))
    activations = [tensor for place, tensor in kept.items() if place not in weights]
    return _Counts(
        weights=sum(map(_size, own)),
        trained=sum(map(_size, _reached(output.grad_fn))),
        image=sum(tensor.untyped_storage().nbytes() for tensor in activations),
        half_image=sum(map(_half_size, activations)),
    )


def _never(_: object) -> Tensor:
    raise AssertionError("there is no backward pass")


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _half_size(tensor: Tensor) -> int:
    num_bytes = tensor.untyped_storage().nbytes()
    return num_bytes * BFLOAT16_BYTES // tensor.element_size() if tensor.is_floating_point() else num_bytes


def _reached(node: Node | None) -> Iterator[nn.Parameter]:
    """Yield the parameters that an output depends on."""
    seen: set[Node] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (parameter := getattr(node, "variable", None)) is not None:
            yield parameter
        waiting += [following for following, _ in node.next_functions]


class _AsOnGpus(TorchFunctionMode):
    """A mode in which layers keep as little as on a GPU, where the meta device would keep more, or compute long."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return _Keeping.apply(args[0], *(own for own in kwargs.values() if isinstance(own, nn.Parameter)))
        if func is F.dropout and _drops(*args, **kwargs):
            return _Masked.apply(args[0])
        if func is F.scaled_dot_product_attention:
            # Fused kernels keep their inputs, not the matrix of all pairs.
            return _Keeping.apply(*args[:3])
        return func(*args, **kwargs)


def _drops(values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> bool:
    return training and p > 0 and values.requires_grad and not inplace


class _Keeping(torch.autograd.Function):
    """A layer that keeps its inputs, and returns a tensor like the first."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        return torch.empty_like(inputs[0])


class _Masked(torch.autograd.Function):
    """Dropout, which keeps a byte per element."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(torch.empty_like(values, dtype=torch.bool))
        return torch.empty_like(values)
