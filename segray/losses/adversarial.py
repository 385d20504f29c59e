"""What a model and a discriminator minimise against each other. Scores are raw, one per patch; higher means real.

    bce     binary cross-entropy, with the model's non-saturating form: Goodfellow et al. 2014, arXiv 1406.2661
    lsgan   least squares: Mao et al. 2017, arXiv 1611.04076
    hinge   Lim and Ye 2017, arXiv 1705.02894

One-sided label smoothing, a target below 1 for what is real: Salimans et al. 2016, arXiv 1606.03498.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from segray.config import GanConfig
from segray.errors import ConfigError


@dataclass(frozen=True)
class AdversarialLoss:
    """One of the losses; each function gives a value per score."""

    of_real: Callable[[Tensor, float], Tensor]
    """(scores of the labels' label images, target in 0.5..1) -> what the discriminator minimises on them"""
    of_fake: Callable[[Tensor], Tensor]
    """Scores of the model's label images -> what the discriminator minimises on them"""
    of_model: Callable[[Tensor], Tensor]
    """Scores of the model's label images -> what the model minimises"""
    middle: float
    """Score above which a patch is taken for real"""
    takes_target: bool = True
    """Whether label smoothing means anything to it"""

    def discriminator(self, real: Tensor, fake: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Scalar that the discriminator minimises: the mean of both kinds' means, in float32."""
        of_real = self.of_real(real.float(), 1 - label_smoothing).mean()
        return (of_real + self.of_fake(fake.float()).mean()) / 2

    def model(self, fake: Tensor) -> Tensor:
        """Scalar that the model minimises, in float32."""
        return self.of_model(fake.float()).mean()

    def accuracies(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of the real and of the fake scores that are on their side, float32."""
        return (real > self.middle).float().mean(), (fake <= self.middle).float().mean()


ADVERSARIAL_LOSSES: dict[str, AdversarialLoss] = {
    "bce": AdversarialLoss(
        of_real=lambda scores, target: F.softplus(scores) - target * scores,
        of_fake=F.softplus,
        of_model=lambda scores: F.softplus(-scores),
        middle=0.0,
    ),
    "lsgan": AdversarialLoss(
        of_real=lambda scores, target: (scores - target) ** 2,
        of_fake=lambda scores: scores**2,
        of_model=lambda scores: (scores - 1) ** 2,
        middle=0.5,
    ),
    "hinge": AdversarialLoss(
        of_real=lambda scores, _: F.relu(1 - scores),
        of_fake=lambda scores: F.relu(1 + scores),
        of_model=lambda scores: -scores,
        middle=0.0,
        takes_target=False,
    ),
}


def build_adversarial_loss(config: GanConfig) -> AdversarialLoss:
    """The adversarial loss that a config names.

    Raises:
        ConfigError: Label smoothing with a loss that has no target.
    """
    loss = ADVERSARIAL_LOSSES[config.loss]
    if config.label_smoothing > 0 and not loss.takes_target:
        raise ConfigError(
            f"gan.label_smoothing must be 0 with gan.loss {config.loss}, which has no target to smooth, but got "
            f"{config.label_smoothing:g}; take bce or lsgan, or set it to 0"
        )
    return loss


def r1_penalty(real_scores_B1HW: Tensor, real_image_BCHW: Tensor) -> Tensor:
    """Half the mean over images of |gradient of an image's judgement by the image|^2, its judgement the mean score.

    Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, eq. 9 without its factor gamma.

    Args:
        real_scores_B1HW: The discriminator's scores of ``real_image_BCHW``.
        real_image_BCHW: Label images that require a gradient.
    """
    judgements_B = real_scores_B1HW.float().mean(dim=(1, 2, 3))
    (gradient_BCHW,) = torch.autograd.grad(judgements_B.sum(), real_image_BCHW, create_graph=True)
    return gradient_BCHW.float().square().sum(dim=(1, 2, 3)).mean() / 2
