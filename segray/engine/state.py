"""TrainState: everything that training changes, and therefore everything that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from segray.config import RunConfig
from segray.config.training import TrainConfig
from segray.engine.adversary import Adversary, StateDict, build_adversary
from segray.engine.distributed import data_parallel
from segray.engine.ema import Ema
from segray.engine.optim import build_optimizer, build_schedule
from segray.labels import LabelSpace
from segray.models import SegmentationModel, build_model
from segray.models.normalisation import Normalisation


@dataclass
class TrainState:
    """A run between two epochs; every epoch reseeds the random generators, so their states are not part of it."""

    config: RunConfig
    label_space: LabelSpace
    model: nn.Module
    """The module that a step calls: the network, wrapped in DistributedDataParallel if several ranks train it"""
    optimizer: Optimizer
    schedule: LRScheduler
    """Stepped once per batch; its ``last_epoch`` counts steps"""
    ema: Ema | None
    adversary: Adversary | None = None
    """The discriminator that the model trains against, if there is one"""
    epoch: int = 0
    """Completed epochs"""
    best_score: float | None = None
    best_epoch: int | None = None

    @property
    def network(self) -> SegmentationModel:
        """The trained model, without a wrapper."""
        model = self.model.module if isinstance(self.model, DistributedDataParallel) else self.model
        return cast(SegmentationModel, model)

    @property
    def kept_model(self) -> SegmentationModel:
        """The model that is validated and kept: the moving average if it is on, else the trained model."""
        return self.ema.model if self.ema else self.network

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or the last ``train.patience`` epochs brought no better score."""
        return is_finished(self.config.train, self.epoch, self.best_epoch)

    @property
    def device(self) -> torch.device:
        """The model's device."""
        return next(self.network.parameters()).device

    def normalise_by(self, normalisation: Normalisation) -> None:
        """Use the normalisation of this run's checkpoint, in place of the one that the encoder's weights ask for."""
        self.network.normalise_by(normalisation)
        self.kept_model.normalise_by(normalisation)

    def state_dict(self) -> StateDict:
        """Return tensors (not copied) and plain values; ``kept`` and, if ``ema`` is on, ``trained`` are weights."""
        return {
            "kept": self.kept_model.state_dict(),
            "trained": self.network.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary else None,
            "epoch": self.epoch,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
        }

    def load_state_dict(self, values: StateDict) -> None:
        """Load what ``state_dict`` returned, on this or another device."""
        self.kept_model.load_state_dict(values["kept"])
        if self.ema:
            self.network.load_state_dict(values["trained"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.schedule.load_state_dict(values["schedule"])
        if self.adversary:
            self.adversary.load_state_dict(values["adversary"])
        self.epoch = values["epoch"]
        # The objective of an earlier version was always mIoU.
        self.best_score = values["best_score"] if "best_score" in values else values["best_val_miou"]
        self.best_epoch = values["best_epoch"]


def is_finished(train: TrainConfig, epoch: int, best_epoch: int | None) -> bool:
    """Return whether a run is finished after ``epoch`` completed epochs: all done, or out of patience."""
    out_of_patience = train.patience is not None and epoch - (best_epoch or 0) >= train.patience
    return epoch >= train.epochs or out_of_patience


def build_state(config: RunConfig, label_space: LabelSpace, steps_per_epoch: int, device: torch.device) -> TrainState:
    """Build the state of a run before its first epoch; the same config and seed give the same weights on every rank.

    Args:
        config: The run; this process resolves a ``model.encoder_weights`` of "auto".
        label_space: The classes.
        steps_per_epoch: Training batches per epoch, at least 1.
        device: The device to train on.

    Raises:
        ConfigError: A network, an optimiser or a schedule cannot be built.
    """
    torch.manual_seed(config.seed)
    model = build_model(config.model, label_space.num_classes, palette=label_space.colors).to(device)
    if config.train.channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(model, config.optim)
    adversary = build_adversary(config, label_space, steps_per_epoch, device) if config.gan.has_discriminator else None
    return TrainState(
        config=config,
        label_space=label_space,
        # Some networks leave parameters unused: EfficientNet's head, and the deepest stages in PSPNet.
        model=data_parallel(model, device, static_graph=True),
        optimizer=optimizer,
        schedule=build_schedule(optimizer, config.optim, epochs=config.train.epochs, steps_per_epoch=steps_per_epoch),
        ema=Ema(model, config.train.ema_decay) if config.train.ema_decay else None,
        adversary=adversary,
    )
