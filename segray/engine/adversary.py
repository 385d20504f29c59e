"""Adversary: the discriminator of a run, with its optimiser, its learning-rate schedule and its image pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from segray.config import GanConfig, RunConfig, SizePx
from segray.engine.distributed import data_parallel
from segray.engine.optim import build_optimizer, build_schedule, check_l2, check_schedule
from segray.errors import ConfigError
from segray.labels import LabelSpace
from segray.losses.adversarial import PatchScores, build_adversarial_loss
from segray.losses.masks import class_masks
from segray.models import Discriminator, build_discriminator, check_discriminator
from segray.models.meta import without_memory

SECTION = "gan.optim"
"""The config section of the discriminator's optimiser."""

StateDict = dict[str, Any]
"""The result of torch's ``state_dict``: name -> tensor, plain value, or a further mapping"""


class LabelImages(NamedTuple):
    """A discriminator's input: label images with their photos and labels."""

    photos_BCHW: Tensor
    image_BCHW: Tensor
    """A channel per class, or colours in -1..1; 0 where a pixel is void"""
    labels_BHW: Tensor
    """Class ids, 255 for void, uint8"""

    def detached(self) -> LabelImages:
        """Return the same label images, detached from the model that made them."""
        return self._replace(image_BCHW=self.image_BCHW.detach())


class RealAndFake(nn.Module):
    """A wrapper that scores real and fake images in one call: DistributedDataParallel needs one forward per backward.

    Real and fake images go through the discriminator separately. In a joint batch, batch normalisation would reveal
    which is which by its statistics.
    """

    def __init__(self, discriminator: Discriminator, num_classes: int) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._num_classes = num_classes

    def forward(self, real: LabelImages, fake: LabelImages) -> tuple[PatchScores, PatchScores]:
        """Return the scores of the real label images and of the model's label images."""
        return self.score(real), self.score(fake)

    def score(self, images: LabelImages) -> PatchScores:
        """Return the scores of label images; a patch without a labelled pixel in its middle does not count."""
        masks_BCHW, labelled_B1HW = class_masks(images.labels_BHW, self._num_classes)
        classes_BCHW = masks_BCHW.float() if self.discriminator.semantic else None
        scores_B1hw = self.discriminator(images.photos_BCHW, images.image_BCHW, classes_BCHW)
        return PatchScores(scores_B1hw, (self.discriminator.middles(labelled_B1HW.float()) > 0).float())


@dataclass
class Adversary:
    """The discriminator that the model trains against, and its training state."""

    real_and_fake: nn.Module
    """The discriminator in its wrapper; also wrapped in DistributedDataParallel if several ranks train it"""
    optimizer: Optimizer
    schedule: LRScheduler
    """Stepped once per batch"""
    pool: ImagePool

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator itself."""
        return self._unwrapped.discriminator

    @property
    def _unwrapped(self) -> RealAndFake:
        module = self.real_and_fake
        return cast(RealAndFake, module.module if isinstance(module, DistributedDataParallel) else module)

    def score_frozen(self, images: LabelImages) -> PatchScores:
        """Return the scores of label images; their gradient reaches the images, not the discriminator."""
        # The model's loss must not add to the gradients of the discriminator's own step. DistributedDataParallel is
        # bypassed, because it expects a backward through the discriminator after every forward.
        self.discriminator.requires_grad_(False)
        try:
            return self._unwrapped.score(images)
        finally:
            self.discriminator.requires_grad_(True)

    def update(self, grad_clip: float | None) -> None:
        """Take an optimiser step on the discriminator, clear its gradients, and step its schedule."""
        if grad_clip is not None:
            nn.utils.clip_grad_norm_(self.discriminator.parameters(), grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()

    def state_dict(self) -> StateDict:
        """Return tensors (not copied) and plain values; the pool is left out, since it is empty between two epochs."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, values: StateDict) -> None:
        """Load what ``state_dict`` returned, on this or another device."""
        self.discriminator.load_state_dict(values["discriminator"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.schedule.load_state_dict(values["schedule"])


@dataclass
class ImagePool:
    """A pool of the model's past label images, so that the discriminator does not forget them within an epoch.

    The pool takes every image until it is full. Then it replaces each new image, with probability 0.5, by an earlier
    one (Shrivastava et al. 2017, arXiv 1612.07828; one image at a time as in CycleGAN, arXiv 1703.10593). The pool is
    emptied at the start of every epoch, so that a checkpoint, which is written between two epochs, need not hold it.
    """

    size: int
    _epoch: int = -1
    _kept: list[LabelImages] = field(default_factory=list)

    def exchange(self, fake: LabelImages, epoch: int) -> LabelImages:
        """Return as many label images as given, past or new, each with its own photo and labels.

        Args:
            fake: New label images, detached.
            epoch: Completed epochs.
        """
        if self.size == 0:
            return fake
        if epoch != self._epoch:
            self._epoch, self._kept = epoch, []
        images = zip(*(tensor.tensor_split(len(tensor)) for tensor in fake), strict=True)
        shown = [self._one(LabelImages(*image)) for image in images]
        return LabelImages(*(torch.cat(parts) for parts in zip(*shown, strict=True)))

    def _one(self, new: LabelImages) -> LabelImages:
        if len(self._kept) == self.size and torch.rand(()) < 0.5:
            return new
        # The new tensors are views of a whole batch, which the pool would keep in memory.
        own = LabelImages(*(tensor.clone() for tensor in new))
        if len(self._kept) < self.size:
            self._kept.append(own)
            return new
        place = int(torch.randint(self.size, ()))
        old, self._kept[place] = self._kept[place], own
        return old


def build_adversary(
    config: RunConfig, label_space: LabelSpace, steps_per_epoch: int, device: torch.device
) -> Adversary:
    """Build the adversary that ``gan`` describes, before the first epoch; equal random states give equal adversaries.

    Args:
        config: A run whose ``gan`` has a discriminator.
        label_space: The classes.
        steps_per_epoch: Training batches per epoch.
        device: The device to train on.

    Raises:
        ConfigError: The optimiser or its schedule cannot be built.
    """
    channels = 3 if config.model.output == "rgb" else label_space.num_classes
    discriminator = build_discriminator(config.gan, num_classes=label_space.num_classes, image_channels=channels)
    discriminator = discriminator.to(device)
    if config.train.channels_last:
        discriminator = discriminator.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(discriminator, config.gan.optim, section=SECTION)
    return Adversary(
        real_and_fake=data_parallel(RealAndFake(discriminator, label_space.num_classes), device),
        optimizer=optimizer,
        schedule=build_schedule(
            optimizer,
            config.gan.optim,
            epochs=config.train.epochs,
            steps_per_epoch=steps_per_epoch,
            section=SECTION,
        ),
        pool=ImagePool(config.gan.pool_size),
    )


def check_adversary(config: GanConfig, epochs: int, size_px: SizePx | None = None) -> None:
    """Check the ``gan`` section before training; without label images to compare there is nothing to check.

    Args:
        config: The ``gan`` section.
        epochs: Number of epochs that the discriminator trains.
        size_px: (height, width) of its training images, if known.

    Raises:
        ConfigError: A patch is larger than the images, every loss weight is 0, or the losses, optimiser or schedule
            have settings that cannot be combined.
    """
    if not config.compares_label_images:
        return
    build_adversarial_loss(config)
    weights = ("adversarial_weight", "segmentation_weight", "l1_weight", "gradient_weight")
    if not any(getattr(config, name) for name in weights):
        raise ConfigError(
            f"one of gan.{', gan.'.join(weights)} must be above 0, but all are 0, so the model has nothing to "
            "minimise; raise at least one"
        )
    if not config.has_discriminator:
        return
    if size_px:
        check_discriminator(config, size_px)
    if config.optim.l2 > 0:
        with without_memory():
            discriminator = build_discriminator(config, num_classes=2, image_channels=2)
        check_l2(discriminator, config.optim, section=SECTION)
    check_schedule(config.optim, epochs, section=SECTION)
