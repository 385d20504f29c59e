"""Adversarial losses of a model and a discriminator. Scores are raw, one per patch; a higher score means real.

    bce     binary cross-entropy, with the model's non-saturating form: Goodfellow et al. 2014, arXiv 1406.2661
    lsgan   least squares: Mao et al. 2017, arXiv 1611.04076
    hinge   Lim and Ye 2017, arXiv 1705.02894

One-sided label smoothing, a target below 1 for what is real: Salimans et al. 2016, arXiv 1606.03498.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from segray.config import GanConfig
from segray.errors import ConfigError


class PatchScores(NamedTuple):
    """A discriminator's scores of label images, (B, 1, h, w), and a mask of the scores that count."""

    scores: Tensor
    counted: Tensor
    """1 for a patch that counts, else 0; same shape as the scores, float32"""

    def mean(self, values: Tensor) -> Tensor:
        """Average one value per patch over each image's counted patches (0 if none counts), then over images."""
        return (_sum(values * self.counted) / self.num_counted).mean()

    @property
    def num_counted(self) -> Tensor:
        """Number of counted patches of each image, at least 1, (B,)."""
        return _sum(self.counted).clamp(min=1)


@dataclass(frozen=True)
class AdversarialLoss:
    """An adversarial loss; its functions map every score to a value."""

    of_real: Callable[[Tensor, float], Tensor]
    """(scores of real label images, target in 0.5..1) -> the discriminator's loss"""
    of_fake: Callable[[Tensor], Tensor]
    """Scores of the model's label images -> the discriminator's loss"""
    of_model: Callable[[Tensor], Tensor]
    """Scores of the model's label images -> the model's loss"""
    middle: Callable[[float], float]
    """Target -> score of an undecided discriminator; a patch with a higher score is taken for real"""
    takes_target: bool = True
    """Whether the loss has a target, which label smoothing lowers"""

    def discriminator(self, real: PatchScores, fake: PatchScores, label_smoothing: float = 0.0) -> Tensor:
        """Return the discriminator's loss: the mean of its losses on real and on fake images, a float32 scalar."""
        of_real = real.mean(self.of_real(real.scores.float(), 1 - label_smoothing))
        return (of_real + fake.mean(self.of_fake(fake.scores.float()))) / 2

    def model(self, fake: PatchScores) -> Tensor:
        """Return the model's loss, a float32 scalar."""
        return fake.mean(self.of_model(fake.scores.float()))

    def accuracies(self, real: PatchScores, fake: PatchScores, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """Return the shares of real and of fake patches that the discriminator gets right, float32 scalars."""
        middle = self.middle(1 - label_smoothing)
        return real.mean((real.scores > middle).float()), fake.mean((fake.scores <= middle).float())


@dataclass(frozen=True)
class WeightedAdversarialLoss:
    """An adversarial loss with the weights that section ``gan`` gives it."""

    loss: AdversarialLoss
    config: GanConfig

    @property
    def is_penalised(self) -> bool:
        """Whether the discriminator's loss needs the gradient of its scores by the real label images."""
        return self.config.r1_weight > 0

    def model(self, fake: PatchScores) -> Tensor:
        """Return the model's weighted loss, a float32 scalar."""
        return self.config.adversarial_weight * self.loss.model(fake)

    def discriminator(self, real: PatchScores, fake: PatchScores, real_BCHW: Tensor) -> Tensor:
        """Return the discriminator's loss with its penalty, a float32 scalar.

        Args:
            real: Scores of the real label images.
            fake: Scores of the model's label images.
            real_BCHW: The real label images, which require a gradient if the loss `is_penalised`.
        """
        total = self.loss.discriminator(real, fake, self.config.label_smoothing)
        if self.is_penalised:
            total = total + self.config.r1_weight * r1_penalty(real, real_BCHW)
        return total

    def accuracies(self, real: PatchScores, fake: PatchScores) -> tuple[Tensor, Tensor]:
        """Return the shares of real and of fake patches that the discriminator gets right, float32 scalars."""
        return self.loss.accuracies(real, fake, self.config.label_smoothing)


ADVERSARIAL_LOSSES: dict[str, AdversarialLoss] = {
    "bce": AdversarialLoss(
        of_real=lambda scores, target: F.softplus(scores) - target * scores,
        of_fake=F.softplus,
        of_model=lambda scores: F.softplus(-scores),
        middle=lambda target: math.log(target / (2 - target)),
    ),
    "lsgan": AdversarialLoss(
        of_real=lambda scores, target: (scores - target) ** 2,
        of_fake=lambda scores: scores**2,
        of_model=lambda scores: (scores - 1) ** 2,
        middle=lambda target: target / 2,
    ),
    "hinge": AdversarialLoss(
        of_real=lambda scores, _: F.relu(1 - scores),
        of_fake=lambda scores: F.relu(1 + scores),
        of_model=lambda scores: -scores,
        middle=lambda _: 0.0,
        takes_target=False,
    ),
}


def build_adversarial_loss(config: GanConfig) -> WeightedAdversarialLoss:
    """Return the adversarial loss that a config names, with its weights.

    Raises:
        ConfigError: Label smoothing is set, but the loss has no target.
    """
    loss = ADVERSARIAL_LOSSES[config.loss]
    if config.label_smoothing > 0 and not loss.takes_target:
        raise ConfigError(
            f"gan.label_smoothing must be 0 with gan.loss {config.loss}, which has no target to smooth, but got "
            f"{config.label_smoothing:g}; set gan.label_smoothing to 0, or gan.loss to bce or lsgan"
        )
    return WeightedAdversarialLoss(loss, config)


def r1_penalty(real: PatchScores, image_BCHW: Tensor) -> Tensor:
    """Return half the mean over images and patches of |gradient of a patch's score by the real label image|^2.

    Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, eq. 9 without its factor gamma, for a score per patch. The
    gradient is taken of the sum of all scores: patches overlap, and at a shared pixel their gradients add up before
    they are squared.

    Args:
        real: The discriminator's scores of ``image_BCHW``.
        image_BCHW: Label images that require a gradient.
    """
    total = (real.scores.float() * real.counted).sum()
    (gradient_BCHW,) = torch.autograd.grad(total, image_BCHW, create_graph=True)
    return (_sum(gradient_BCHW.float().square()) / real.num_counted).mean() / 2


def _sum(values_BCHW: Tensor) -> Tensor:
    return values_BCHW.sum(dim=(1, 2, 3))
