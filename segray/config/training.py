"""The config sections about training: loss, optimiser, discriminator, length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, TypeGuard

from pydantic import BeforeValidator, Field, PositiveInt, field_validator
from pydantic_core import PydanticCustomError

from segray.config.mark import Decides, Mark, Use
from segray.config.section import Section
from segray.values import Values


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _are_positive(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(_is_number(item) and item > 0 for item in value)


def _check_weights(value: object) -> object:
    if value not in ("none", "balanced") and not _are_positive(value):
        raise PydanticCustomError("class_weights", "must be none, balanced, or numbers above 0, one for each class")
    return value


def _check_alpha(value: object) -> object:
    is_share = _is_number(value) and 0 < value <= 1
    if value != "balanced" and not is_share and not _are_positive(value):
        rule = "must be a number above 0 and at most 1, balanced, or numbers above 0, one for each class"
        raise PydanticCustomError("focal_alpha", rule)
    return value


def _gan(values: Values) -> GanConfig:
    """Return a section that compares label images, and has a discriminator, if the values of a run say so."""
    return GanConfig(
        discriminator=values["gan.discriminator"],
        adversarial_weight=values["gan.adversarial_weight"],
        segmentation_weight=values["gan.segmentation_weight"],
    )


_COMPARES_LABEL_IMAGES = Use(
    key="gan.discriminator",
    rule="must name a discriminator",
    fix="set it to patchgan or semantic",
    is_met=lambda values: _gan(values).compares_label_images,
)
_HAS_DISCRIMINATOR = Use(
    key="gan.adversarial_weight",
    rule="must be above 0",
    fix="set it to 1, say, or search other keys, since 0 means no discriminator",
    is_met=lambda values: _gan(values).has_discriminator,
)
_HAS_SEGMENTATION_LOSS = Use(
    key="gan.segmentation_weight",
    rule="must be above 0",
    fix="set it to 1, say, since 0 leaves section loss out",
    is_met=lambda values: not _gan(values).compares_label_images or _gan(values).segmentation_weight > 0,
)
OF_DISCRIMINATOR = Mark(Decides.TRAINING, uses=(_COMPARES_LABEL_IMAGES, _HAS_DISCRIMINATOR))
OF_LABEL_IMAGES = Mark(Decides.TRAINING, uses=(_COMPARES_LABEL_IMAGES,))
OF_SEGMENTATION = Mark(Decides.TRAINING, uses=(_HAS_SEGMENTATION_LOSS,))

ClassWeights = Annotated[Literal["none", "balanced"] | tuple[float, ...], BeforeValidator(_check_weights)]
FocalAlpha = Annotated[float | Literal["balanced"] | tuple[float, ...], BeforeValidator(_check_alpha)]


class LossConfig(Section):
    """The segmentation loss, such as dice or 0.5*cross_entropy+dice; void pixels never count."""

    name: Annotated[str, replace(OF_SEGMENTATION, registry="segray.losses:LOSSES")] = "cross_entropy"
    """Loss or weighted sum: cross_entropy, ohem, focal, boundary, dice, jaccard, tversky, focal_tversky, lovasz"""
    class_weights: ClassWeights = "none"
    """none, balanced (inverse log frequency) or a number per class (cross_entropy, ohem, focal, boundary)"""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread over all classes (cross_entropy)"""
    focal_gamma: float = Field(default=2.0, ge=0)
    """Focusing exponent (focal)"""
    focal_alpha: FocalAlpha = 1.0
    """Factor on each pixel's loss, above 0 and at most 1; or by class: balanced, or a number per class (focal)"""
    ohem_fraction: float = Field(default=0.25, gt=0, le=1)
    """Share of pixels kept, the hardest ones (ohem)"""
    tversky_alpha: float = Field(default=0.3, ge=0)
    """Weight of false positives (tversky, focal_tversky)"""
    tversky_beta: float = Field(default=0.7, ge=0)
    """Weight of false negatives (tversky, focal_tversky)"""
    tversky_gamma: float = Field(default=4 / 3, ge=1)
    """A class's loss is raised to 1 / gamma; 1 is the same as tversky (focal_tversky)"""
    boundary_weight: float = Field(default=5.0, ge=0)
    """Extra weight of a pixel at a boundary; a pixel far from any boundary has weight 1 (boundary)"""
    boundary_width_px: int = Field(default=3, ge=1, le=100)
    """Distance to another class, in pixels of the crop, up to which a pixel is near a boundary (boundary)"""
    boundary_kind: Literal["hard", "soft"] = "hard"
    """hard: all pixels near a boundary weigh the same; soft: the weight falls with distance (boundary)"""


class OptimConfig(Section):
    """Optimiser and learning-rate schedule, stepped once per batch."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """Optimiser"""
    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate"""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay; not applied to biases and normalisation"""
    l2: float = Field(default=0.0, ge=0)
    """Factor c of a penalty c * sum(w^2) on chosen kernels; adds 2 * c * w to the gradient (adam, sgd)"""
    l2_layers: str = ""
    """Start of the names of kernels with l2, such as network.decoder., or a regular expression; empty: all"""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum (sgd)"""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the mean of gradients; onecycle varies it by 0.05 either way (adam, adamw)"""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the mean of squared gradients (adam, adamw)"""
    schedule: Literal["cosine", "poly", "linear", "onecycle", "constant"] = "onecycle"
    """Learning-rate schedule over the whole run; linear is constant for the first half, then falls linearly"""
    final_lr: float = Field(default=0.0, ge=0)
    """Learning rate at the end (cosine, poly, linear)"""
    warmup_epochs: float = Field(default=0.0, ge=0)
    """Epochs of linear warm-up before the schedule; onecycle has its own warm-up"""
    poly_power: float = Field(default=0.9, gt=0)
    """Exponent (poly)"""
    grad_clip: float | None = Field(default=None, gt=0)
    """Largest gradient norm; null does not clip"""


class TrainConfig(Section):
    """Length, batch size and precision of training."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training split"""
    batch_size: int = Field(default=8, ge=1)
    """Images per step over all workers of the run together"""
    patience: int | None = Field(default=None, ge=1)
    """Number of epochs without a better score after which training stops; null never stops"""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is validated and kept; null for no average"""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto is bfloat16 autocast if the hardware supports it, else float32"""
    channels_last: bool = True
    """Store tensors channels-last: faster convolutions on CPUs and on GPUs with tensor cores"""
    deterministic: bool = False
    """On a GPU, use PyTorch's deterministic kernels, which are slower; on a CPU, results repeat anyway"""


_OF_DISCRIMINATOR = {"name": "adam", "lr": 2e-4, "weight_decay": 0.0, "beta1": 0.5, "schedule": "constant"}


class GanConfig(Section):
    """Training against a discriminator, which tells the model's label images from real ones, made from labels."""

    discriminator: Literal["none", "patchgan", "semantic"] = "none"
    """none; patchgan: scores patches; semantic: scores patches per class, weighted by the true classes"""
    receptive_field_px: Literal[16, 70, 286] = 70
    """Side of the patches, in pixels"""
    width: PositiveInt = 64
    """Channels of the discriminator's first layer"""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation in the discriminator"""
    spectral_norm: bool = False
    """Spectral normalisation of the discriminator's kernels"""
    conditioned: bool = True
    """Whether the discriminator sees the photo beside the label image"""
    loss: Literal["bce", "lsgan", "hinge"] = "bce"
    """Adversarial loss of model and discriminator: binary cross-entropy, least squares, or hinge"""
    adversarial_weight: float = Field(default=1.0, ge=0)
    """Weight of the adversarial loss in the model's total loss; 0 leaves the discriminator out"""
    segmentation_weight: Annotated[float, OF_LABEL_IMAGES] = Field(default=1.0, ge=0)
    """Weight of the segmentation loss (section loss) in the model's total loss"""
    l1_weight: Annotated[float, OF_LABEL_IMAGES] = Field(default=0.0, ge=0)
    """Weight of the mean absolute difference between the model's and the real label image"""
    gradient_weight: Annotated[float, OF_LABEL_IMAGES] = Field(default=0.0, ge=0)
    """Weight of the gradient-sensitive loss, which asks for the same edges in both label images"""
    gradient_kind: Annotated[Literal["hard", "soft"], OF_LABEL_IMAGES] = "hard"
    """hard: edges count only at class boundaries; soft: edges count 1 at class boundaries and 0.1 elsewhere"""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Difference between 1 and the discriminator's target for real label images (bce, lsgan)"""
    r1_weight: float = Field(default=0.0, ge=0)
    """Weight gamma of the penalty gamma / 2 * |gradient of the scores' sum by the real label image|^2 / patches"""
    pool_size: int = Field(default=0, ge=0)
    """Model's label images kept per worker from the epoch's earlier batches; half of those shown come from the pool"""
    optim: OptimConfig = OptimConfig.model_validate(_OF_DISCRIMINATOR)
    """The discriminator's optimiser"""

    @field_validator("optim", mode="before")
    @classmethod
    def _with_own_defaults(cls, value: object) -> object:
        return {**_OF_DISCRIMINATOR, **value} if isinstance(value, Mapping) else value

    @property
    def compares_label_images(self) -> bool:
        """Whether training compares the model's label images with real ones; if not, no other key has an effect."""
        return self.discriminator != "none"

    @property
    def has_discriminator(self) -> bool:
        """Whether a discriminator is trained to tell the label images apart.

        An adversarial weight of 0 leaves the discriminator out, and keeps the other losses between label images.
        """
        return self.compares_label_images and self.adversarial_weight > 0
