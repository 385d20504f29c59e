"""Scores of trained models: `segray evaluate`, and the test scores of the best trial at the end of a sweep."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segray import text
from segray.data.files.encode import write_picture
from segray.errors import ConfigError, SegrayError, StorageError, unknown_name
from segray.inference.evaluate import Announce, evaluate_split
from segray.inference.predictor import Predictor, load_model
from segray.inference.robustness import corrupted_miou
from segray.inference.sample_grid import SampleGrid
from segray.inference.split_data import SPLIT_NAMES, SplitData, SplitName, other_split, own_split
from segray.shown import redacted
from segray.split_scores import SplitScores
from segray.storage import SweepFiles


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The images that a model is evaluated on, and how."""

    split: str = "test"
    """train, val or test; all takes every labelled image of another data set"""
    root: str | None = None
    """The data set's folder; None for the folder in the model's config"""
    dataset: str | None = None
    """Another data set than the one that the model was trained on, with the same classes"""
    values: Mapping[str, object] = field(default_factory=dict)
    """Dotted key -> value of the other data set, where it needs more than its folder"""
    corruptions: bool = False
    """Whether to repeat the evaluation under corruptions of the photos"""
    cache_dir: str | None = None
    """Folder of decoded images, used with ``root``; None for the default folder"""
    grid: Path | None = None
    """Picture to write: photo, truth and prediction of some images"""


def evaluate_model(model: Predictor, asked: Evaluation, announce: Announce = print) -> tuple[SplitScores, bool]:
    """Evaluate a model, and write the test scores of a sweep's best trial to the sweep's test.json.

    Args:
        model: The model.
        asked: The images, and what else to do with them.
        announce: Called with lines on progress.

    Returns:
        The scores, and whether they were written to test.json.

    Raises:
        StorageError: test.json or the picture cannot be written.
        ConfigError: The split or the data set is unknown, or the data's classes are not the model's.
        DataError: The data set cannot be read, is not the sweep's, or has no labelled image in the split.
    """
    data = _open(model, asked)
    grid = SampleGrid(data)
    found = evaluate_split(model, data, announce, [grid] if asked.grid else [])
    if asked.grid:
        write_picture(asked.grid, grid.draw(f"{model.title}: {text.counted(len(data), 'image')} of split {data.split}"))
    _explain_older_mean(model, found, announce)
    if model.config.data.all_data and data.is_own and found.split == "val":
        announce("these validation images trained the model too (data.all_data), so the scores say little about others")
    if asked.corruptions:
        found = found.model_copy(update={"corruptions": corrupted_miou(model, data, found.miou, announce)})
    sweep = model.location.sweep if model.location else None
    is_kept = sweep is not None and found.split == "test" and data.is_own and not model.way and _is_best(sweep, found)
    if sweep is not None and is_kept:
        found = _with_earlier_corruptions(found, sweep.test_scores())
        sweep.write_test_scores(found)
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
        data_root: The data set's folder on this machine; None for the folder that the trial trained on.
        cache_dir: Folder of decoded images, used with ``data_root``; None for the default folder.

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
        evaluate_model(load_model(files.folder), Evaluation(root=data_root, cache_dir=cache_dir), announce)
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


def _open(model: Predictor, asked: Evaluation) -> SplitData:
    split = _split_name(asked)
    if asked.dataset is None:
        if asked.values:
            raise ConfigError("--set describes another data set, so it needs --dataset")
        return own_split(model, split, asked.root, asked.cache_dir)
    if asked.root is None:
        raise ConfigError(f"--dataset {asked.dataset} needs --data, the folder of that data set")
    return other_split(model, split, asked.dataset, asked.root, asked.values)


def _split_name(asked: Evaluation) -> SplitName:
    for name in SPLIT_NAMES if asked.dataset else SPLIT_NAMES[:-1]:
        if name == asked.split:
            return name
    if asked.split == "all":
        raise ConfigError(
            "--split all takes images that the model was trained on; it needs --dataset, another data set"
        )
    raise ConfigError(unknown_name("--split", asked.split, SPLIT_NAMES))


def _explain_older_mean(model: Predictor, found: SplitScores, announce: Announce) -> None:
    """Say why the recorded mIoU differs if an earlier version averaged other classes."""
    pointer = model.location.pointer if model.location else None
    if pointer is None or found.split != "val" or found.dataset:
        return
    num_recorded = sum(iou is not None for iou in pointer.record.class_iou(found.classes))
    if num_recorded > found.num_in_mean:
        announce(
            f"the recorded val mIoU is the {text.mean_over(num_recorded, len(found.iou))}, because an earlier version "
            "of segray counted classes that no validation image has"
        )


def _is_best(files: SweepFiles, found: SplitScores) -> bool:
    try:
        trial, pointer = files.best()
    except StorageError:
        return False
    return (found.trial, found.epoch) == (trial.id, pointer.record.epoch)


def _with_earlier_corruptions(found: SplitScores, earlier: SplitScores | None) -> SplitScores:
    """Return the scores with the corruptions of an earlier evaluation of the same checkpoint, if they have none."""
    if found.corruptions or earlier is None or (earlier.trial, earlier.epoch) != (found.trial, found.epoch):
        return found
    return found.model_copy(update={"corruptions": earlier.corruptions})
