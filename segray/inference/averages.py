"""Averages of predictions: over changed copies of a photo (test-time augmentation), and over several models.

Probabilities are averaged, not logits, because logits of different models and scales differ in size. The result is the
logarithm of the mean probability, which is a logit like any other: its softmax is the mean.

Shape suffixes: B images, C channels or classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from segray.errors import ConfigError
from segray.inference.windows import Forward


@dataclass(frozen=True)
class Augmented:
    """A ``Forward`` that averages the predictions of a photo, of its copies at other scales, and of their mirrors.

    Args:
        forward: Predicts a photo.
        scales: Factors of the photo's sides beside 1.
        flip: Whether each copy is also predicted as its left-right mirror.
    """

    forward: Forward
    scales: tuple[float, ...] = ()
    flip: bool = False

    def __call__(self, photos_BCHW: Tensor) -> Tensor:
        """Return the logarithm of the mean probability."""
        return log_mean_probability(self._logits(photos_BCHW))

    def _logits(self, photos_BCHW: Tensor) -> Iterable[Tensor]:
        sides = photos_BCHW.shape[-2:]
        for scale in (1.0, *self.scales):
            scaled_BCHW = _scaled(photos_BCHW, scale)
            yield _resized(self.forward(scaled_BCHW), sides)
            if self.flip:
                yield _resized(self.forward(scaled_BCHW.flip(-1)).flip(-1), sides)


@dataclass(frozen=True)
class Ensemble:
    """A ``Forward`` that averages the predictions of several models."""

    members: Sequence[Forward]

    def __call__(self, photos_BCHW: Tensor) -> Tensor:
        """Return the logarithm of the mean probability."""
        return log_mean_probability(member(photos_BCHW) for member in self.members)


def augmented(forward: Forward, choices: str) -> Forward:
    """Return a ``Forward`` with test-time augmentation.

    Args:
        forward: Predicts a photo.
        choices: Comma-separated: ``flip``, and factors of the photo's size such as ``0.75``; empty for none.

    Raises:
        ConfigError: A choice is neither flip nor a factor from 0.1 to 10.
    """
    names = [name.strip() for name in choices.split(",") if name.strip()]
    scales = tuple(scale for scale in (_scale(name) for name in names if name != "flip") if scale != 1)
    return Augmented(forward, scales, flip="flip" in names) if names else forward


def log_mean_probability(logits: Iterable[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the softmaxes of logits (B, C, H, W), all of one shape."""
    total_BCHW: Tensor | None = None
    count = 0
    for logits_BCHW in logits:
        log_BCHW = F.log_softmax(logits_BCHW.float(), dim=1)
        total_BCHW = log_BCHW if total_BCHW is None else torch.logaddexp(total_BCHW, log_BCHW)
        count += 1
    assert total_BCHW is not None
    return total_BCHW - torch.log(torch.tensor(float(count)))


def _scale(name: str) -> float:
    try:
        scale = float(name)
    except ValueError:
        scale = 0.0
    if not 0.1 <= scale <= 10:
        raise ConfigError(f"--tta must list flip or factors of the photo's size from 0.1 to 10, but got {name!r}")
    return scale


def _scaled(photos_BCHW: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return photos_BCHW
    height, width = (max(round(side * scale), 1) for side in photos_BCHW.shape[-2:])
    resized = F.interpolate(
        photos_BCHW.float(), (height, width), mode="bilinear", antialias=scale < 1, align_corners=False
    )
    return resized.clamp(0, 255)


def _resized(logits_BCHW: Tensor, sides: Sequence[int]) -> Tensor:
    if list(logits_BCHW.shape[-2:]) == list(sides):
        return logits_BCHW
    return F.interpolate(logits_BCHW, tuple(sides), mode="bilinear", align_corners=False)
