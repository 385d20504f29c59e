"""The evaluation of a checkpoint on a whole split, in the same way as its trial was validated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import torch

from segray import text
from segray.activity import LINE_SECONDS, Throttle
from segray.config import RunConfig
from segray.data.batches.loaders import Batch, val_loader
from segray.data.preparation import PreparedData
from segray.engine.batch_size import val_batch_size
from segray.engine.checkpoint import load_checkpoint
from segray.engine.determinism import deterministic
from segray.engine.evaluate import Evaluation
from segray.engine.validation import Validation
from segray.inference.split_data import check_classes, prepare_split, with_data_at
from segray.metrics import scores
from segray.objective import MIOU
from segray.records import CheckpointPointer, SplitScores
from segray.storage import SweepFiles, TrialFiles

Announce = Callable[[str], None]


def judge(
    files: SweepFiles,
    trial: TrialFiles,
    pointer: CheckpointPointer,
    *,
    split: str,
    data_root: str | None = None,
    cache_dir: str | None = None,
    announce: Announce = print,
) -> SplitScores:
    """Evaluate a checkpoint on a split in the same way as its trial was validated; on a GPU if there is one.

    Args:
        files: The sweep; the data must give the splits that it recorded.
        trial: One of the sweep's trials.
        pointer: The checkpoint.
        split: test or val.
        data_root: The data set's folder on this machine; None for the folder that the trial trained on.
        cache_dir: Folder of decoded images, used with ``data_root``; None for the default folder.
        announce: Called with lines on decoding and progress.

    Raises:
        StorageError: There is no checkpoint, or it is damaged.
        ConfigError: The data's classes are not the model's.
        DataError: The data set cannot be read, is not the sweep's, or has no labelled image in the split.
    """
    model, config, label_space = load_checkpoint(trial.folder.child(pointer.checkpoint))
    if data_root:
        config = with_data_at(config, data_root, cache_dir)
    data = prepare_split(files, config, split, announce)
    check_classes(label_space, data.label_space, trial)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    evaluation = _evaluation(model, config, data, device, announce)
    found = scores(evaluation.confusion)
    num_recorded = sum(iou is not None for iou in pointer.record.class_iou(data.scored_space.names))
    if split == "val" and num_recorded > len(data.val_classes):
        announce(
            f"the recorded val mIoU is the {text.mean_over(num_recorded, len(found.iou))}, because an earlier version "
            "of segray counted classes that no validation image has"
        )
    return SplitScores(
        split="test" if split == "test" else "val",
        trial=trial.id,
        epoch=pointer.record.epoch,
        num_images=len(data.val),
        classes=data.scored_space.names,
        **found._asdict(),
        cluster_accuracy=evaluation.training_scores and evaluation.training_scores.pixel_accuracy,
        recorded_val_miou=pointer.record.scores.get(MIOU.name),
        device=device.type,
        evaluated_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _evaluation(
    model: torch.nn.Module, config: RunConfig, data: PreparedData, device: torch.device, announce: Announce
) -> Evaluation:
    """Evaluate on ``data.val``, with the batch size of training, because kernels may depend on the batch size."""
    model = model.to(device)
    if config.train.channels_last:
        model = model.to(memory_format=torch.channels_last)
    batch_size = val_batch_size(config.data, data, config.train.batch_size)
    loader = val_loader(data.val, batch_size=batch_size, pin_memory=device.type == "cuda")
    with deterministic(config.train.deterministic):
        return Validation(config, data, _announce_progress(loader, len(data.val), announce), device).evaluate(model)


def _announce_progress(loader: Iterable[Batch], num_images: int, announce: Announce) -> Iterator[Batch]:
    """Yield the loader's batches, and announce how many images are done every ``LINE_SECONDS``."""
    done, throttle = 0, Throttle(LINE_SECONDS)
    for batch in loader:
        yield batch
        done += len(batch.indices)
        if done < num_images and throttle.is_due():
            announce(f"judged {done} of {num_images} images")
