"""Weighted sums of losses by name, such as ``0.5*cross_entropy+dice``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from segray.errors import ConfigError, unknown_name


class WeightedSum(nn.Module):
    """Sum of weighted losses, computed in float32 even inside autocast."""

    def __init__(self, terms: Sequence[tuple[float, nn.Module]]):
        super().__init__()
        self.weights = [weight for weight, _ in terms]
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the scalar loss of a batch; logits of any float dtype, int64 labels."""
        with torch.autocast(logits_BCHW.device.type, enabled=False):
            logits_BCHW = logits_BCHW.float()
            terms = [w * loss(logits_BCHW, labels_BHW) for w, loss in zip(self.weights, self.losses, strict=True)]
            return torch.stack(terms).sum()


def parse_terms(text: str, names: Iterable[str]) -> dict[str, float]:
    """Return the weights of a sum by loss name, in the order written.

    Args:
        text: Terms joined by ``+``; a term is a name, or a positive weight, ``*`` and a name.
        names: The valid names.

    Raises:
        ConfigError: A name is unknown or appears twice, or a weight is not a positive number.
    """
    terms: dict[str, float] = {}
    for term in text.split("+"):
        weight, star, name = term.rpartition("*")
        name = name.strip()
        if name not in names:
            raise ConfigError(unknown_name("loss", name, names) + f" (in loss.name={text!r})")
        if name in terms:
            raise ConfigError(
                f"a loss may appear only once in a sum, but {name!r} appears twice in loss.name={text!r}; add its "
                "weights up"
            )
        terms[name] = _weight(weight.strip(), text) if star else 1.0
    return terms


def _weight(text: str, whole: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise ConfigError(
            f"the weight of a loss must be a positive number, but got {text!r} in loss.name={whole!r}; "
            "write a sum as 0.5*cross_entropy+dice"
        )
    return weight
