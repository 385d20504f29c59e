"""A run that trains in moments: a two-layer network learns to tell colours apart."""

from functools import partial

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from segray import models
from segray.config import RunConfig
from segray.data.batches.loaders import Batch
from segray.data.datasets.scoring import Scoring, by_classes_of_training
from segray.engine import checkpoint
from segray.engine.adversarial import AdversarialStep
from segray.engine.evaluate import evaluate
from segray.engine.loop import fit
from segray.engine.state import build_state
from segray.engine.steps import SupervisedStep
from segray.engine.validation import epoch_scores
from segray.labels import LabelSpace
from segray.losses import build_loss

CPU = torch.device("cpu")
LABEL_SPACE = LabelSpace(
    names=("dark", "red", "green"),
    colors=((0, 0, 0), (200, 0, 0), (0, 200, 0)),
    raw_to_train={0: 0, 1: 1, 2: 2, 255: 255},
)
NUM_TRAIN, NUM_VAL, SIZE_PX = 12, 7, (16, 24)
BY_LABELS = by_classes_of_training(LABEL_SPACE)
SCORING = Scoring(
    label_space=LabelSpace(names=("green", "dark"), colors=((0, 200, 0), (0, 0, 0))),
    class_of=(1, None, 0),
    read_label=lambda pair: np.zeros(SIZE_PX, np.uint8),
)
"""Scoring by other classes than LABEL_SPACE: "red" maps to no class; "dark" and "green" swap ids."""


def build_tiny(config, num_classes):
    norm = nn.Identity() if config.arch == "without_batchnorm" else nn.BatchNorm2d(8)
    drop = nn.Identity() if config.arch == "without_batchnorm" else nn.Dropout(0.2)
    layers = [nn.Conv2d(3, 8, 3, padding=1), norm, nn.ReLU(), drop, nn.Conv2d(8, num_classes, 1)]
    model = models.SegmentationModel(nn.Sequential(*layers), stride=1)
    if config.arch == "with_unused_head":
        model.head = nn.Linear(4, 4)
    return model


def register():
    """Register the tiny model as a family, in this process."""
    models.MODELS["tiny"] = build_tiny


def tiny_config(**dotted):
    values = {"model.name": "tiny", "model.encoder_weights": "none", "train.epochs": 4, "train.batch_size": 4}
    values |= {"train.precision": "float32", "optim.lr": 0.02}
    return RunConfig().with_values(values | {key.replace("__", "."): value for key, value in dotted.items()})


def scenes(count, seed):
    """Return photos of coloured blocks (NCHW views of NHWC memory, uint8) and their labels with none to much void."""
    draw = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 3, (count, SIZE_PX[0] // 4, SIZE_PX[1] // 4), generator=draw)
    labels = blocks.repeat_interleave(4, 1).repeat_interleave(4, 2)
    palette = torch.tensor(LABEL_SPACE.colors)
    noise = torch.randint(0, 50, (*labels.shape, 3), generator=draw)
    photos = (palette[labels] + noise).to(torch.uint8).permute(0, 3, 1, 2)
    for index, label in enumerate(labels):
        label[: index % 4 * 4] = 255
    return photos, labels.to(torch.uint8)


class TinyLoader:
    """A loader of one rank: with ``shuffle``, its part of every shuffled batch; else batches of its share of images."""

    def __init__(self, count, seed, *, batch_size, rank=0, world_size=1, shuffle=True):
        self.photos, self.labels = scenes(count, seed)
        self.batch_size, self.rank, self.world_size, self.shuffle = batch_size, rank, world_size, shuffle
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        order = torch.arange(len(self.photos))
        if self.shuffle:
            order = torch.randperm(len(self.photos), generator=torch.Generator().manual_seed(self.epoch))
        if not self.shuffle:
            order = order[self.rank :: self.world_size]
        for batch in order.split(self.batch_size):
            indices = (batch.tensor_split(self.world_size)[self.rank] if self.shuffle else batch).tolist()
            yield Batch(self.photos[indices], self.labels[indices], indices)


class LoaderWithJudged(TinyLoader):
    """A loader whose judged ids are not just the mapped labels: red is green, and the bottom rows are void."""

    def __iter__(self):
        for batch in super().__iter__():
            judged = torch.tensor([1, 0, 0])[batch.labels_BHW.clamp(max=2).long()].to(torch.uint8)
            judged[batch.labels_BHW == 255] = 255
            judged[:, -3:] = 255
            yield batch._replace(judged_BHW=judged)


def val_loader(rank=0, world_size=1):
    return TinyLoader(NUM_VAL, 1, batch_size=2, rank=rank, world_size=world_size, shuffle=False)


def cross_entropy():
    return nn.CrossEntropyLoss(ignore_index=255)


def validation(loader=None, *, loss=None, scoring=BY_LABELS, **options):
    return partial(
        evaluate,
        loader=loader or val_loader(),
        loss=loss or cross_entropy(),
        scoring=scoring,
        device=CPU,
        precision=torch.float32,
        **options,
    )


def tiny_state(config):
    return build_state(config, LABEL_SPACE, NUM_TRAIN // config.train.batch_size, CPU)


def start(state, *, step=None, validate=None, rank=0, world_size=1, **options):
    """Run fit() on the coloured blocks."""
    batch_size = state.config.train.batch_size
    loader = TinyLoader(NUM_TRAIN, 0, batch_size=batch_size, rank=rank, world_size=world_size)
    validate = validate or validation(val_loader(rank, world_size))
    step = step or SupervisedStep(cross_entropy(), CPU, torch.float32)

    def scores(model):
        return epoch_scores(validate(model), LABEL_SPACE.names)

    return fit(state, step, loader, scores, **options)


def trained_and_resumed(config, folder, *, after, make_step=lambda: None, rank=0, world_size=1):
    """Train a run, and resume a second run from its checkpoint; return both states, each with its records."""
    unbroken, records = tiny_state(config), []
    for record in start(unbroken, step=make_step(), rank=rank, world_size=world_size):
        records.append(record)
        if record.epoch == after and rank == 0:
            checkpoint.save(unbroken, folder)
    if world_size > 1:
        dist.barrier()
    resumed = tiny_state(config)
    checkpoint.restore(resumed, folder)
    later = list(start(resumed, step=make_step(), rank=rank, world_size=world_size, attempt=2))
    assert [record.epoch for record in later] == list(range(after + 1, config.train.epochs + 1))
    return (unbroken, without_timing(records)), (resumed, without_timing(later))


def gan_config(**options):
    """Return the config of a run against a discriminator whose patches fit into the images of blocks."""
    gan = {
        "gan__discriminator": "patchgan", "gan__receptive_field_px": 16, "gan__width": 4,
        "gan__l1_weight": 1.0, "gan__gradient_weight": 0.5, "gan__optim__lr": 0.01,
    }  # fmt: skip
    return tiny_config(**{**gan, **options})


def gan_step(config, precision=torch.float32, **options):
    return AdversarialStep(build_loss(config.loss, (1, 1, 1)), config.gan, LABEL_SPACE, CPU, precision, **options)


def without_timing(records):
    timing = {"images_per_second", "epoch_seconds", "peak_memory_bytes", "attempt"}
    return [record.model_dump(exclude=timing) for record in records]
