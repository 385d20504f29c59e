"""One trial, from its config to its files: data, state, fit(), checkpoints. Nothing here imports Ray."""

from __future__ import annotations

import io
import math
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypedDict

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from torch import nn

from segray.activity import doing, waiting_for_others
from segray.config import DataConfig, RunConfig
from segray.data.batches.augmentation import training_size
from segray.data.batches.loaders import Batch, train_loader, val_loader
from segray.data.cache.shards import Shard
from segray.data.preparation import PreparedData, prepare
from segray.data.splits.split_record import check_splits
from segray.engine import checkpoint
from segray.engine.adversarial import AdversarialStep
from segray.engine.determinism import deterministic
from segray.engine.distributed import from_first_rank, gather_over_ranks, rank, world_size
from segray.engine.evaluate import Evaluation, evaluate
from segray.engine.loop import fit
from segray.engine.precision import resolve_precision
from segray.engine.resume import reached_checkpoints, resumed_state
from segray.engine.state import TrainState, build_state, is_finished
from segray.engine.steps import Step, SupervisedStep
from segray.errors import ConfigError
from segray.folder import Folder
from segray.labels import LabelSpace
from segray.losses import build_loss
from segray.models import check_train_shape
from segray.records import CheckpointPointer, EpochRecord, SplitRecord
from segray.storage import TrialFiles
from segray.trial_log import TrialLog

NUM_SAMPLES = 4
"""Number of validation images whose predictions are kept for the report."""

MAX_VAL_LOADER_WORKERS: Final = 2
"""Two suffice: validation images are copied from the shards without augmentation."""

CPU: Final = torch.device("cpu")


class Reporter(Protocol):
    """The receiver of a trial's epoch records, which may also end the trial."""

    def hand_over(self, record: EpochRecord, final: bool) -> bool:
        """Take a record (called on rank 0); return whether to continue training."""

    def interrupted(self) -> bool:
        """Return whether to stop before the next batch (called on every rank)."""


class _LoaderOptions(TypedDict):
    rank: int
    world_size: int
    pin_memory: bool


def train_trial(
    config: RunConfig,
    files: TrialFiles,
    reporter: Reporter,
    *,
    log: TrialLog,
    device: torch.device = CPU,
    attempt: int = 1,
    seconds_before: float = 0.0,
    micro_batches: int = 1,
    num_loader_workers: int = 0,
    splits: SplitRecord | None = None,
) -> None:
    """Train one trial from its last checkpoint, or from the start, until it ends or the reporter ends it.

    Every rank of torch.distributed calls this with the same arguments; rank 0 writes the files.

    Args:
        config: The run; ``train.batch_size`` counts all ranks together.
        files: The trial's folder: records and checkpoints are written there, and an earlier checkpoint is read there.
        reporter: Receives every epoch's record after the epoch's checkpoint is written.
        log: Gets one line per epoch, and the messages of data preparation.
        device: The device to train on.
        attempt: Number of this start of the trial, from 1.
        seconds_before: Time spent on the trial before this start; raised to the time that its last checkpoint records.
        micro_batches: Parts that a training batch is split into; validation batches shrink by the same factor.
        num_loader_workers: Number of loader processes if ``data.num_loader_workers`` is not set.
        splits: The images that the sweep started with, which this machine must have too; None skips the check.

    Raises:
        ConfigError: The config cannot work.
        DataError: The data set cannot be read, or differs from the sweep's.
        Interrupted: The reporter ended the trial between two batches.
        Diverged: The training loss became NaN or infinite.
    """
    started = time.monotonic()
    reached = from_first_rank(lambda: reached_checkpoints(files, log))
    if reached and is_finished(config.train, reached[0].record.epoch, reached[0].record.best_epoch):
        # An earlier attempt finished the trial, but died before it handed over the last record.
        if rank() == 0:
            reporter.hand_over(reached[0].record, final=True)
        return
    doing("listing the data")
    if splits is not None:
        check_splits(splits, config.data)
    data = _prepare(config.data, log)
    part_size = math.ceil(per_rank_batch_size(config) / micro_batches)
    workers = num_loader_workers if config.data.num_loader_workers is None else config.data.num_loader_workers
    loader = train_loader(
        data.train,
        config.data,
        batch_size=config.train.batch_size,
        seed=config.seed,
        num_workers=workers,
        **_loader_options(device),
    )
    validation = _build_validation(
        config, data, device, reporter.interrupted, train_part_size=part_size, num_workers=workers
    )
    doing("building the model")
    state, last = resumed_state(reached, files, log, lambda: build_state(config, data.label_space, len(loader), device))
    step = build_step(config, data, device, micro_batches)
    keeper = _Keeper(files, data.scored_space)
    if last is not None:
        seconds_before = max(seconds_before, last.seconds)
        attempt = max(attempt, last.record.attempt + 1)
    log.write(f"attempt {attempt} on {device.type}, {world_size()} workers, from epoch {state.epoch}")
    with deterministic(config.train.deterministic):
        for record in fit(state, step, loader, validation, attempt=attempt, interrupted=reporter.interrupted):
            go_on = True
            if rank() == 0:
                doing("writing a checkpoint")
                seconds = seconds_before + time.monotonic() - started
                keeper.keep(state, record, seconds, validation.samples)
                log.write(_format_record(record, config))
                with waiting_for_others():
                    go_on = reporter.hand_over(record, state.is_finished)
            if not _answer_of_first_rank(go_on, device):
                return


def _loader_options(device: torch.device) -> _LoaderOptions:
    return _LoaderOptions(rank=rank(), world_size=world_size(), pin_memory=device.type == "cuda")


def _build_validation(
    config: RunConfig,
    data: PreparedData,
    device: torch.device,
    interrupted: Callable[[], bool],
    *,
    train_part_size: int,
    num_workers: int,
) -> Validation:
    """Build the validation of a trial; its batches have no more pixels than ``train_part_size`` training images."""
    whole_images = val_loader(
        data.val,
        batch_size=val_batch_size(config.data, data, train_part_size),
        num_workers=min(num_workers, MAX_VAL_LOADER_WORKERS),
        **_loader_options(device),
    )
    return Validation(config, data, whole_images, device, interrupted)


def _answer_of_first_rank(go_on: bool, device: torch.device) -> bool:
    """Return rank 0's answer on every rank."""
    answer = torch.tensor(int(go_on), device=device)
    if world_size() > 1:
        with waiting_for_others():
            dist.broadcast(answer, src=0)
    return bool(answer.item())


def build_step(config: RunConfig, data: PreparedData, device: torch.device, micro_batches: int = 1) -> Step:
    """Build the training step of a run: adversarial if the config names a discriminator, else supervised.

    Args:
        config: The run.
        data: The run's data.
        device: The device to train on.
        micro_batches: Number of parts that a batch is split into.

    Raises:
        ConfigError: A loss has settings that cannot work.
    """
    loss = build_loss(config.loss, data.train.class_pixels)
    precision = resolve_precision(config.train.precision, device)
    if config.gan.discriminator == "none":
        return SupervisedStep(loss, device, precision, micro_batches=micro_batches)
    return AdversarialStep(loss, config.gan, data.label_space, device, precision, micro_batches=micro_batches)


def _prepare(config: DataConfig, log: TrialLog) -> PreparedData:
    """Prepare the data; log the messages of rank 0 at once, then those that only other ranks had, with their host."""
    said: list[str] = []

    def announce(text: str) -> None:
        said.append(text)
        log.write(text)

    data = prepare(config, announce)
    for host, lines in gather_over_ranks((socket.gethostname(), said))[1:]:
        new = [line for line in lines if line not in said]
        said += new
        for line in new:
            log.write(f"{host}: {line}")
    return data


def per_rank_batch_size(config: RunConfig, num_workers: int | None = None) -> int:
    """Return the images per step on the worker that gets the fewest.

    Raises:
        ConfigError: The batch has fewer images than there are workers.
    """
    num_workers = num_workers or world_size()
    if config.train.batch_size < num_workers:
        raise ConfigError(
            f"train.batch_size is shared by all workers of a trial and must be at least their number, but got batch "
            f"{config.train.batch_size} with {num_workers} workers; use a larger batch or fewer workers"
        )
    return config.train.batch_size // num_workers


def max_micro_batches(config: RunConfig) -> int:
    """Return the largest number of parts that a worker's batch can be split into.

    A part is at least one image, or two if the architecture cannot train on one; see ``check_train_shape``.

    Args:
        config: The run of a trial that is being trained.
    """
    batch_size = per_rank_batch_size(config)
    size_px = training_size(prepare(config.data).train, config.data.crop_px)
    try:
        check_train_shape(config.model, batch_size=1, size_px=size_px)
    except ConfigError:
        return max(1, batch_size // 2)
    return batch_size


def val_batch_size(config: DataConfig, data: PreparedData, train_batch_size: int) -> int:
    """Return how many validation images have no more pixels than a training batch of crops; at least one."""
    train_pixels = train_batch_size * math.prod(training_size(data.train, config.crop_px))
    return max(1, train_pixels // int(data.val.sizes.prod(axis=1).max()))


def sample_indices(shard: Shard) -> list[int]:
    """Return the indices of the few validation images that a sweep shows, evenly spread."""
    return sorted({round(index) for index in np.linspace(0, len(shard) - 1, NUM_SAMPLES)})


def sample_name(shard: Shard, index: int) -> str:
    """Return the first part of the file names of a sample image."""
    return shard.names[index].replace("/", "-")


def write_samples(folder: Folder, data: PreparedData) -> None:
    """Write the sample images as samples/STEM_photo.png, and their true scored classes as samples/STEM_truth.png."""
    for index in sample_indices(data.val):
        stem = sample_name(data.val, index)
        stream = io.BytesIO()
        Image.fromarray(data.val.pair(index)[0]).save(stream, "PNG")
        folder.write_bytes(f"samples/{stem}_photo.png", stream.getvalue())
        write_labels(folder, f"{stem}_truth", data.val.truth(index), data.scored_space)


def write_labels(folder: Folder, name: str, labels_HW: np.ndarray, label_space: LabelSpace) -> None:
    """Write class ids as a PNG with the classes' colours as its palette."""
    image = Image.fromarray(labels_HW, mode="P")
    image.putpalette(label_space.palette().tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    folder.write_bytes(f"samples/{name}.png", stream.getvalue())


class Validation:
    """The validation of a trial's model, in fit() and after training; keeps the sample predictions of the last call.

    Args:
        config: The trial's run.
        data: The trial's data; the loader loads its ``val``.
        loader: This rank's validation batches.
        device: The model's device.
        interrupted: Called before every batch; True ends the validation.
    """

    def __init__(
        self,
        config: RunConfig,
        data: PreparedData,
        loader: Iterable[Batch],
        device: torch.device,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config, self._data, self._loader, self._device = config, data, loader, device
        self._interrupted = interrupted
        self._loss = build_loss(config.loss, data.train.class_pixels).to(device)
        self._indices = sample_indices(data.val)
        self.samples: dict[str, np.ndarray] = {}

    def __call__(self, model: nn.Module) -> Evaluation:
        """Evaluate a model on the validation split."""
        evaluation = evaluate(
            model,
            self._loader,
            self._loss,
            self._data.label_space.num_classes,
            self._device,
            precision=resolve_precision(self._config.train.precision, self._device),
            scoring=self._data.scoring,
            channels_last=self._config.train.channels_last,
            sample_indices=self._indices,
            interrupted=self._interrupted,
        )
        self.samples = {sample_name(self._data.val, index): sample for index, sample in evaluation.samples.items()}
        return evaluation


class _Keeper:
    """The writer of a trial's checkpoints, which deletes those that neither best.json nor last.json names."""

    def __init__(self, files: TrialFiles, label_space: LabelSpace) -> None:
        self._files, self._label_space = files, label_space

    def keep(self, state: TrainState, record: EpochRecord, seconds: float, samples: dict[str, np.ndarray]) -> None:
        """Write a checkpoint, then its pointers, then the record, and delete the checkpoints that it replaces.

        The order makes every crash recoverable: a pointer never names a checkpoint that is only partly written.
        """
        name = f"checkpoints/{record.epoch}-{record.attempt}"
        checkpoint.save(state, self._files.folder.child(name))
        pointer = CheckpointPointer(checkpoint=name, record=record, seconds=seconds)
        if record.best_epoch == record.epoch:
            self._files.write_pointer("best", pointer)
            for stem, labels_HW in samples.items():
                write_labels(self._files.folder, f"{stem}_prediction", labels_HW, self._label_space)
        self._files.write_pointer("last", pointer)
        self._files.append_record(record)
        self._files.drop_old_checkpoints()


def _format_record(record: EpochRecord, config: RunConfig) -> str:
    def text(value: float | None) -> str:
        return "none" if value is None else f"{value:.4f}"

    discriminator = ""
    if record.train_discriminator_loss is not None:
        discriminator = (
            f"discriminator loss {text(record.train_discriminator_loss)}, right about "
            f"{text(record.train_real_accuracy)} of real and {text(record.train_fake_accuracy)} of fake patches, "
        )
    return (
        f"epoch {record.epoch}/{config.train.epochs}: train loss {text(record.train_loss)}, {discriminator}"
        f"val loss {text(record.val_loss)}, val mIoU {text(record.val_miou)} (best {text(record.best_val_miou)}), "
        f"{record.images_per_second:.1f} images/s, {record.epoch_seconds:.1f} s"
    )
