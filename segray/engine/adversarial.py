"""The adversarial training step: one batch updates the model and a discriminator.

Goodfellow et al. 2014 (arXiv 1406.2661); for segmentation Luc et al. 2016 (arXiv 1611.08408) and, with label images in
colours, Isola et al. 2017, "pix2pix" (arXiv 1611.07004).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segray.config import GanConfig
from segray.data.batches.loaders import Batch
from segray.engine.adversary import Adversary, LabelImages
from segray.engine.precision import autocast
from segray.engine.state import TrainState
from segray.engine.steps import MicroBatch, mean_over_ranks, split_batch, update_model
from segray.labels import LabelSpace
from segray.losses.adversarial import build_adversarial_loss
from segray.losses.label_images import LabelImageLoss
from segray.losses.masks import class_masks


class AdversarialStep:
    """A step that updates model and discriminator from one forward pass of the model.

    The model minimises the sum of the adversarial, segmentation, L1 and gradient-sensitive losses, weighted by ``gan``.
    The adversarial loss is a mean over patches. The other losses are weighted by labelled pixels, as in SupervisedStep.
    If the state has no adversary (``gan.adversarial_weight`` is 0), the model minimises the other losses only.

    Args:
        loss: (logits_BCHW, labels_BHW) -> scalar, the segmentation loss.
        config: Kinds and weights of the losses.
        label_space: The classes; a model with RGB output is trained on their colours.
        device: The model's device.
        precision: dtype of autocast, from ``resolve_precision``.
        micro_batches: Number of near-equal parts that a batch is split into to save memory; normalisation layers see
            one part at a time.

    Raises:
        ConfigError: The adversarial loss does not support the config's label smoothing.
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
        self.loss = LabelImageLoss(loss, config).to(device)
        self.adversarial_loss = build_adversarial_loss(config)
        self.grad_clip = config.optim.grad_clip
        self.device = device
        self.precision = precision
        self.micro_batches = micro_batches
        self._colors_CK = torch.tensor(label_space.colors, dtype=torch.float32, device=device) / 127.5 - 1

    def __call__(self, state: TrainState, batch: Batch) -> dict[str, Tensor]:
        """Train model and discriminator on one batch.

        Returns:
            ``train_loss`` and, with a discriminator, ``train_discriminator_loss``, ``train_real_accuracy`` and
            ``train_fake_accuracy``: detached float32 scalars on the device. Their means over ranks are the values of
            the whole batch.
        """
        channels_last = state.config.train.channels_last
        parts = split_batch(batch, self.micro_batches, self.device, channels_last=channels_last)
        labelled = torch.stack([part.num_labelled for part in parts])
        images = torch.tensor([len(part.photos_BCHW) for part in parts]).to(self.device, non_blocking=True)
        # DistributedDataParallel averages gradients over ranks, but ranks may hold unequal shares of the batch.
        shares = torch.stack([labelled, images])
        shares = shares / mean_over_ranks(shares.sum(dim=1, keepdim=True))
        model_loss = torch.zeros((), device=self.device)
        of_discriminator = torch.zeros(3, device=self.device)
        for part, labelled_share, share in zip(parts, *shares, strict=True):
            real, fake, logits_BCHW = self._label_images(state, part)
            loss = labelled_share * self.loss(logits_BCHW, fake.image_BCHW, real.image_BCHW, part.labels_BHW)
            if state.adversary:
                loss = loss + share * self._loss_by_scores(state.adversary, fake)
            torch.autograd.backward(loss)
            model_loss += loss.detach()
            if state.adversary:
                shown = state.adversary.pool.exchange(fake.detached(), epoch=state.epoch)
                of_discriminator += share * self._learn_to_tell(state.adversary, real, shown, share)
        update_model(state)
        if state.adversary is None:
            return {"train_loss": model_loss}
        state.adversary.update(self.grad_clip)
        names = ("train_discriminator_loss", "train_real_accuracy", "train_fake_accuracy")
        return {"train_loss": model_loss, **dict(zip(names, of_discriminator, strict=True))}

    def _label_images(self, state: TrainState, part: MicroBatch) -> tuple[LabelImages, LabelImages, Tensor]:
        """Return the real label images, the model's label images and the model's logits.

        Void pixels are 0 in both images, so that the discriminator cannot tell them apart by the shape of void.
        """
        model = state.network
        with autocast(self.device, self.precision):
            raw_BCHW = state.model(part.photos_BCHW, raw=True).float()
        masks_BCHW, labelled_B1HW = class_masks(part.labels_BHW, state.label_space.num_classes)
        real_BCHW = masks_BCHW.float()
        if model.paints:
            real_BCHW, fake_BCHW = torch.einsum("bchw,ck->bkhw", real_BCHW, self._colors_CK), raw_BCHW
        else:
            fake_BCHW = raw_BCHW.softmax(dim=1)
        real = LabelImages(part.photos_BCHW, real_BCHW, part.labels_BHW.to(torch.uint8))
        return real, real._replace(image_BCHW=fake_BCHW * labelled_B1HW), model.decode(raw_BCHW)

    def _loss_by_scores(self, adversary: Adversary, fake: LabelImages) -> Tensor:
        with autocast(self.device, self.precision):
            scores = adversary.score_frozen(fake)
        return self.adversarial_loss.model(scores)

    def _learn_to_tell(self, adversary: Adversary, real: LabelImages, fake: LabelImages, share: Tensor) -> Tensor:
        """Add the discriminator's gradients; return its loss and its accuracies on real and on fake patches, (3,)."""
        if self.adversarial_loss.is_penalised:
            real = real._replace(image_BCHW=real.image_BCHW.detach().requires_grad_())
        with autocast(self.device, self.precision):
            real_scores, fake_scores = adversary.real_and_fake(real, fake)
        loss = self.adversarial_loss.discriminator(real_scores, fake_scores, real.image_BCHW)
        torch.autograd.backward(share * loss)
        return torch.stack([loss.detach(), *self.adversarial_loss.accuracies(real_scores, fake_scores)])
