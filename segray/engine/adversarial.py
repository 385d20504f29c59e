"""Learn against a discriminator: what one batch does to both.

Goodfellow et al. 2014 (arXiv 1406.2661); for segmentation Luc et al. 2016 (arXiv 1611.08408) and, with label images in
colours, Isola et al. 2017, "pix2pix" (arXiv 1611.07004).
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from segray.config import GanConfig
from segray.data.loading import Batch
from segray.engine.adversary import Adversary, Exhibit
from segray.engine.precision import autocast
from segray.engine.state import TrainState
from segray.engine.steps import mean_over_ranks, to_device, update_model
from segray.labels import IGNORE_INDEX, LabelSpace
from segray.losses.adversarial import build_adversarial_loss, r1_penalty
from segray.losses.label_images import absolute_difference, gradient_difference
from segray.losses.masks import class_masks
from segray.models import SegmentationModel


class _Part(NamedTuple):
    """Images that go through the networks at once."""

    photos_BCHW: Tensor
    labels_BHW: Tensor
    share: float
    """Of the batch's images"""


class AdversarialStep:
    """The model first, against the discriminator as it is; then the discriminator, on what the model made meanwhile.

    The model minimises the sum of the adversarial, segmentation, L1 and gradient-sensitive losses that ``gan`` weighs.
    The adversarial one is a mean over images. The others count by labelled pixels, as in SupervisedStep.

    Args:
        loss: (logits_BCHW, labels_BHW) -> scalar, the segmentation loss.
        config: Kinds and weights of the losses.
        label_space: The classes, whose colours a model that paints is shown.
        device: Where the model lies.
        precision: dtype of autocast, as ``resolve_precision`` gives it.
        micro_batches: Parts the batch is split into to save memory, as even as can be; normalisation sees the parts.

    Raises:
        ConfigError: The adversarial loss cannot work.
    """

    def __init__(
        self,
        loss: nn.Module,
        config: GanConfig,
        label_space: LabelSpace,
        device: torch.device,
        precision: torch.dtype,
        *,
        micro_batches: int = 1,
    ) -> None:
        self.loss = loss.to(device)
        self.adversarial = build_adversarial_loss(config)
        self.config = config
        self.device = device
        self.precision = precision
        self.micro_batches = micro_batches
        self._colors_CK = torch.tensor(label_space.colors, dtype=torch.float32, device=device) / 127.5 - 1

    def __call__(self, state: TrainState, batch: Batch) -> dict[str, Tensor]:
        """Train both on one batch.

        Returns:
            ``train_loss``, ``train_discriminator_loss``, ``train_real_accuracy`` and ``train_fake_accuracy``: detached
            float32 scalars on the device, whose means over ranks are those of the whole batch.
        """
        adversary = cast(Adversary, state.adversary)
        parts = self._parts(batch, channels_last=state.config.train.channels_last)
        num_labelled = mean_over_ranks((batch.labels_BHW != IGNORE_INDEX).sum().to(self.device))

        model_loss = torch.zeros((), device=self.device)
        exhibits = []
        for part in parts:
            loss, real, fake = self._model_loss(state, adversary, part, num_labelled)
            torch.autograd.backward(loss)
            model_loss += loss.detach()
            exhibits.append((real, adversary.pool.exchange(fake.detached(), epoch=state.epoch)))
        update_model(state)

        loss_and_accuracies = torch.zeros(3, device=self.device)
        for part, (real, fake) in zip(parts, exhibits, strict=True):
            loss, *accuracies = self._discriminator_loss(adversary, real, fake)
            torch.autograd.backward(part.share * loss)
            loss_and_accuracies += part.share * torch.stack([loss.detach(), *accuracies])
        adversary.update(self.config.optim.grad_clip)

        names = ("train_loss", "train_discriminator_loss", "train_real_accuracy", "train_fake_accuracy")
        return dict(zip(names, (model_loss, *loss_and_accuracies), strict=True))

    def _parts(self, batch: Batch, *, channels_last: bool) -> list[_Part]:
        photos_BCHW, labels_BHW = to_device(batch, self.device, channels_last=channels_last)
        count = min(self.micro_batches, len(photos_BCHW))
        pairs = zip(photos_BCHW.tensor_split(count), labels_BHW.tensor_split(count), strict=True)
        return [_Part(photos, labels, len(photos) / len(photos_BCHW)) for photos, labels in pairs]

    def _model_loss(
        self, state: TrainState, adversary: Adversary, part: _Part, num_labelled: Tensor
    ) -> tuple[Tensor, Exhibit, Exhibit]:
        """What the model minimises on a part, as its share of the batch's; the labels' and the model's label images."""
        with autocast(self.device, self.precision):
            raw_BCHW = state.model(part.photos_BCHW, raw=True).float()
        real, fake = self._exhibits(cast(SegmentationModel, state.network), raw_BCHW, part)
        with autocast(self.device, self.precision):
            scores_B1HW = adversary.judge_frozen(fake)
        fooling = self.config.weight * self.adversarial.model(scores_B1HW)
        logits_BCHW = cast(SegmentationModel, state.network).decode(raw_BCHW)
        by_pixels = self._loss_by_pixels(logits_BCHW, fake.image_BCHW, real.image_BCHW, part.labels_BHW)
        labelled_share = (part.labels_BHW != IGNORE_INDEX).sum() / num_labelled
        return part.share * fooling + labelled_share * by_pixels, real, fake

    def _exhibits(self, model: SegmentationModel, raw_BCHW: Tensor, part: _Part) -> tuple[Exhibit, Exhibit]:
        """The labels' and the model's label images: void is 0 in both, so that its shape betrays neither."""
        masks_BCHW, labelled_B1HW = class_masks(part.labels_BHW, len(self._colors_CK))
        real_BCHW = masks_BCHW.to(raw_BCHW.dtype)
        if model.paints:
            real_BCHW, fake_BCHW = torch.einsum("bchw,ck->bkhw", real_BCHW, self._colors_CK), raw_BCHW
        else:
            fake_BCHW = raw_BCHW.softmax(dim=1)
        real = Exhibit(part.photos_BCHW, real_BCHW, part.labels_BHW)
        return real, real._replace(image_BCHW=fake_BCHW * labelled_B1HW)

    def _loss_by_pixels(self, logits_BCHW: Tensor, fake_BCHW: Tensor, real_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        config = self.config
        total = torch.zeros((), device=self.device)
        if config.segmentation_weight > 0:
            total = total + config.segmentation_weight * self.loss(logits_BCHW, labels_BHW)
        if config.l1_weight > 0:
            total = total + config.l1_weight * absolute_difference(fake_BCHW, real_BCHW, labels_BHW)
        if config.gradient_weight > 0:
            edges = gradient_difference(fake_BCHW, real_BCHW, labels_BHW, config.gradient_kind)
            total = total + config.gradient_weight * edges
        return total

    def _discriminator_loss(self, adversary: Adversary, real: Exhibit, fake: Exhibit) -> tuple[Tensor, Tensor, Tensor]:
        """What the discriminator minimises, and its accuracies on both kinds."""
        penalised = self.config.r1_weight > 0
        if penalised:
            real = real._replace(image_BCHW=real.image_BCHW.detach().requires_grad_())
        with autocast(self.device, self.precision):
            real_scores, fake_scores = adversary.duel(real, fake)
        loss = self.adversarial.discriminator(real_scores, fake_scores, self.config.label_smoothing)
        if penalised:
            loss = loss + self.config.r1_weight * r1_penalty(real_scores, real.image_BCHW)
        return loss, *self.adversarial.accuracies(real_scores, fake_scores)
