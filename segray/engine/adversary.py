"""Adversary: the discriminator of a run, with all that training changes of it."""

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
from segray.losses.adversarial import build_adversarial_loss
from segray.losses.masks import class_masks
from segray.models import build_discriminator, check_discriminator
from segray.models.meta import without_memory


class Exhibit(NamedTuple):
    """What a discriminator looks at: some label images and what belongs to them."""

    photos_BCHW: Tensor
    image_BCHW: Tensor
    """Label images: a channel per class, or colours in -1..1; 0 where a pixel is void"""
    labels_BHW: Tensor
    """Class ids, 255 for void"""

    def detached(self) -> Exhibit:
        """Without a way back to the model that made it."""
        return self._replace(image_BCHW=self.image_BCHW.detach())


class Duel(nn.Module):
    """Judges real and fake in one call, so that DistributedDataParallel sees one forward for one backward.

    They are judged apart: batch normalisation over both would tell them apart by their own statistics.
    """

    def __init__(self, discriminator: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._num_classes = num_classes

    def forward(self, real: Exhibit, fake: Exhibit) -> tuple[Tensor, Tensor]:
        """Scores (B, 1, h, w) of the labels' and of the model's label images."""
        return self.judge(real), self.judge(fake)

    def judge(self, exhibit: Exhibit) -> Tensor:
        """Scores (B, 1, h, w) of some label images."""
        masks_BCHW, _ = class_masks(exhibit.labels_BHW, self._num_classes)
        scores_B1HW: Tensor = self.discriminator(exhibit.photos_BCHW, exhibit.image_BCHW, masks_BCHW.float())
        return scores_B1HW


@dataclass
class Adversary:
    """The model's opponent between two epochs."""

    duel: nn.Module
    """A Duel, wrapped in DistributedDataParallel where several ranks train it"""
    optimizer: Optimizer
    schedule: LRScheduler
    """Stepped once a batch"""
    pool: ImagePool

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator itself."""
        return self._own_duel.discriminator

    @property
    def _own_duel(self) -> Duel:
        return cast(Duel, self.duel.module if isinstance(self.duel, DistributedDataParallel) else self.duel)

    def judge_frozen(self, exhibit: Exhibit) -> Tensor:
        """Scores (B, 1, h, w) of some label images, whose gradient goes to the images alone."""
        self.discriminator.requires_grad_(False)
        try:
            return self._own_duel.judge(exhibit)
        finally:
            self.discriminator.requires_grad_(True)

    def update(self, grad_clip: float | None) -> None:
        """Move the discriminator along its gradients, clear them, and let the schedule follow."""
        if grad_clip is not None:
            nn.utils.clip_grad_norm_(self.discriminator.parameters(), grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Tensors (not copied) and plain values; the pool is empty between two epochs."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` gave, on this or another device."""
        self.discriminator.load_state_dict(values["discriminator"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.schedule.load_state_dict(values["schedule"])


@dataclass
class ImagePool:
    """Past label images of the model, so that the discriminator does not forget them within an epoch.

    Until it is full it takes what comes; then it gives back, for every second image, an earlier one in its place
    (Shrivastava et al. 2017, arXiv 1612.07828; one image at a time as in CycleGAN, arXiv 1703.10593). It is emptied at
    every epoch's start: a checkpoint, written between two epochs, need not hold it.
    """

    size: int
    _epoch: int = -1
    _kept: list[Exhibit] = field(default_factory=list)

    def exchange(self, fake: Exhibit, epoch: int) -> Exhibit:
        """As many label images, past or new, with their own photos and labels.

        Args:
            fake: New ones, detached.
            epoch: Completed epochs.
        """
        if self.size == 0:
            return fake
        if epoch != self._epoch:
            self._epoch, self._kept = epoch, []
        images = zip(*(tensor.tensor_split(len(tensor)) for tensor in fake), strict=True)
        shown = [self._one(Exhibit(*image)) for image in images]
        return Exhibit(*(torch.cat(parts) for parts in zip(*shown, strict=True)))

    def _one(self, new: Exhibit) -> Exhibit:
        if len(self._kept) < self.size:
            self._kept.append(new)
            return new
        if torch.rand(()) < 0.5:
            return new
        place = int(torch.randint(self.size, ()))
        old, self._kept[place] = self._kept[place], new
        return old


def build_adversary(
    config: RunConfig, label_space: LabelSpace, steps_per_epoch: int, device: torch.device
) -> Adversary:
    """The opponent that ``gan`` describes, before the first epoch; alike on every rank for the same random state.

    Args:
        config: A run whose ``gan.discriminator`` is not none.
        label_space: The classes.
        steps_per_epoch: Training batches an epoch.
        device: Where to train.

    Raises:
        ConfigError: The optimiser or its schedule cannot be built.
    """
    channels = 3 if config.model.output == "rgb" else label_space.num_classes
    discriminator = build_discriminator(config.gan, num_classes=label_space.num_classes, image_channels=channels)
    discriminator = discriminator.to(device)
    if config.train.channels_last:
        discriminator = discriminator.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(discriminator, config.gan.optim)
    return Adversary(
        duel=data_parallel(Duel(discriminator, label_space.num_classes), device),
        optimizer=optimizer,
        schedule=build_schedule(
            optimizer, config.gan.optim, epochs=config.train.epochs, steps_per_epoch=steps_per_epoch
        ),
        pool=ImagePool(config.gan.pool_size),
    )


def check_adversary(config: GanConfig, epochs: int, size_px: SizePx | None = None) -> None:
    """Check what can be known of a discriminator before it trains; of none, nothing.

    Args:
        config: Which one.
        epochs: How long it trains.
        size_px: (height, width) of its training images, if they are known.

    Raises:
        ConfigError: The patches are larger than the images, or losses, optimiser or schedule do not go together.
    """
    if config.discriminator == "none":
        return
    build_adversarial_loss(config)
    if size_px:
        check_discriminator(config, size_px)
    with without_memory():
        discriminator = build_discriminator(config, num_classes=2, image_channels=2)
    try:
        check_l2(discriminator, config.optim)
        check_schedule(config.optim, epochs)
    except ConfigError as error:
        raise ConfigError(f"{error} (in gan.optim)") from None
