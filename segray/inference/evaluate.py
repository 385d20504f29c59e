"""The evaluation of a trained model on a whole split: at the end of a sweep, and by `segray evaluate`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import torch

from segray import text
from segray.config import RunConfig
from segray.data.batches.loaders import Batch, val_loader
from segray.data.preparation import PreparedData, prepare, with_absolute_paths
from segray.data.splits.split_record import check_splits
from segray.engine.checkpoint import load_model
from segray.engine.determinism import deterministic
from segray.engine.evaluate import Evaluation
from segray.engine.trial import Validation, val_batch_size
from segray.errors import ConfigError, DataError, SegrayError, StorageError, unknown_name
from segray.metrics import scores
from segray.models import SegmentationModel
from segray.records import CheckpointPointer, SplitScores
from segray.shown import redacted
from segray.storage import SweepFiles, TrialFiles, open_sweep

LINE_SECONDS: Final = 20.0
"""Time between two progress lines."""

Announce = Callable[[str], None]


def evaluate_sweep(
    location: str,
    *,
    split: str = "test",
    trial_id: str | None = None,
    data_root: str | None = None,
    announce: Announce = print,
) -> tuple[SplitScores, bool]:
    """Evaluate a trial of a sweep, and write the test scores of the best trial to test.json.

    Args:
        location: Folder or URL of the sweep.
        split: test, or val to repeat the score that the trial was chosen by.
        trial_id: Id of a trial or repeat; None for the best trial.
        data_root: The data set's folder on this machine; None for the folder that the trial trained on.
        announce: Called with lines on decoding and progress.

    Returns:
        The scores, and whether they were written to test.json.

    Raises:
        StorageError: There is no such sweep or trial, the trial has no checkpoint, or test.json cannot be written.
        ConfigError: The split is unknown, or the data's classes are not the model's.
        DataError: The data set cannot be read, is not the sweep's, or has no labelled image in the split.
    """
    if split not in ("test", "val"):
        raise ConfigError(f"--split must be test or val, but got {split!r}")
    files = open_sweep(location)
    trial, pointer = files.best() if trial_id is None else _find_trial(files, trial_id)
    found = judge(files, trial, pointer, split=split, data_root=data_root, announce=announce)
    is_kept = split == "test" and _is_best(files, trial)
    if is_kept:
        files.write_test_scores(found)
    return found, is_kept


def judge_best(
    files: SweepFiles, location: str, announce: Announce, *, data_root: str | None = None, cache_dir: str | None = None
) -> bool:
    """Evaluate the best trial of a sweep on its test split, if there is one and its checkpoint is not evaluated yet.

    Errors are announced and not raised, Ctrl-C included, because the sweep itself is complete.

    Args:
        files: A sweep that has ended.
        location: The sweep's folder or URL, as a person would type it.
        announce: Called with a line at the start, with progress, and on failure with what to do.
        data_root: See ``judge``.
        cache_dir: See ``judge``.

    Returns:
        Whether test.json has new scores.
    """
    splits = files.splits()
    if splits is None or not splits.test:
        return False
    try:
        trial, pointer = files.best()
    except StorageError:
        return False
    earlier = files.test_scores()
    if earlier is not None and (earlier.trial, earlier.epoch) == (trial.id, pointer.record.epoch):
        return False
    announce(f"judging trial {trial.id} on the {len(splits.test)} test images, which chose no trial")
    later = f"segray evaluate {shlex.quote(redacted(location))}"
    try:
        files.write_test_scores(
            judge(files, trial, pointer, split="test", data_root=data_root, cache_dir=cache_dir, announce=announce)
        )
    except KeyboardInterrupt:
        announce(f"judging was interrupted; the sweep is complete, and you can judge it later: {later}")
    except Exception as error:
        name = "" if isinstance(error, SegrayError) else f"{type(error).__name__}: "
        announce(
            f"the model could not be judged here on the test images: {name}{error}\n"
            f"the sweep is complete; to judge it later or on another machine, run: {later} --data ROOT"
        )
    else:
        return True
    return False


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
    model, config, label_space = load_model(trial.folder.child(pointer.checkpoint))
    if data_root:
        here = config.data.model_copy(update={"root": data_root, "cache_dir": cache_dir})
        config = config.model_copy(update={"data": with_absolute_paths(here)})
    data = _prepare_split(files, config, split, announce)
    if data.label_space != label_space:
        raise ConfigError(
            f"the data set must have the classes of trial {trial.id}'s model, {', '.join(label_space.names)}, but has "
            f"{', '.join(data.label_space.names)}; evaluate with the versions of segray and scikit-learn in sweep.json"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    evaluation = _evaluation(model, config, data, device, announce)
    found = scores(evaluation.confusion)
    num_recorded = sum(iou is not None for iou in pointer.record.val_iou)
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
        cluster_accuracy=evaluation.cluster_accuracy,
        recorded_val_miou=pointer.record.val_miou,
        device=device.type,
        evaluated_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _prepare_split(files: SweepFiles, config: RunConfig, split: str, announce: Announce) -> PreparedData:
    """Prepare a trial's data, with the split to evaluate as ``val``.

    Raises:
        DataError: The data set cannot be read, is not the sweep's, or has no labelled image in the split.
    """
    splits = files.splits()
    if splits is not None:
        check_splits(splits, config.data)
    data = prepare(config.data, announce)
    if split == "test":
        data = replace(data, val=data.test)
    if not len(data.val):
        raise DataError(
            f"this sweep has no test images: {config.data.dataset} must come with labelled ones, or data.split.sizes "
            "or data.holdout must keep some when a sweep starts; use --split val to repeat the validation"
        )
    if not data.val.truth_pixels.any():
        raise DataError(
            f"the {split} labels of {config.data.dataset} must have a pixel of a class, but those of all "
            f"{len(data.val)} images are void; check the label files"
        )
    return data


def _is_best(files: SweepFiles, trial: TrialFiles) -> bool:
    try:
        return trial.id == files.best()[0].id
    except StorageError:
        return False


def _find_trial(files: SweepFiles, trial_id: str) -> tuple[TrialFiles, CheckpointPointer]:
    trials = {trial.id: trial for trial in (*files.trials(), *files.repeats().values())}
    if trial_id not in trials:
        raise StorageError(unknown_name("trial", trial_id, trials))
    pointer = trials[trial_id].pointer("best")
    if pointer is None and (damage := trials[trial_id].damage().get("best.json")):
        raise StorageError(f"the checkpoint of trial {trial_id} of {files.folder.path!r} cannot be found: {damage}")
    if pointer is None:
        raise StorageError(
            f"trial {trial_id} of {files.folder.path!r} has no checkpoint, because it has completed no epoch; choose "
            "another trial"
        )
    return trials[trial_id], pointer


def _evaluation(
    model: SegmentationModel, config: RunConfig, data: PreparedData, device: torch.device, announce: Announce
) -> Evaluation:
    """Evaluate on ``data.val``, with the batch size of training, because kernels may depend on the batch size."""
    model = model.to(device)
    if config.train.channels_last:
        model = model.to(memory_format=torch.channels_last)
    batch_size = val_batch_size(config.data, data, config.train.batch_size)
    loader = val_loader(data.val, batch_size=batch_size, pin_memory=device.type == "cuda")
    with deterministic(config.train.deterministic):
        return Validation(config, data, _announce_progress(loader, len(data.val), announce), device)(model)


def _announce_progress(loader: Iterable[Batch], num_images: int, announce: Announce) -> Iterator[Batch]:
    """Yield the loader's batches, and announce how many images are done every ``LINE_SECONDS``."""
    done, last = 0, time.monotonic()
    for batch in loader:
        yield batch
        done += len(batch.indices)
        now = time.monotonic()
        if now - last >= LINE_SECONDS and done < num_images:
            last = now
            announce(f"judged {done} of {num_images} images")
