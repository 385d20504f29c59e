"""Scores of a sweep's trials: `segray evaluate`, and the test scores of the best trial at the end of a sweep."""

from __future__ import annotations

import shlex

from segray.errors import ConfigError, SegrayError, StorageError
from segray.inference.evaluate import Announce, judge
from segray.inference.location import find_trial
from segray.records import SplitScores
from segray.shown import redacted
from segray.storage import SweepFiles, TrialFiles, open_sweep


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
    trial, pointer = files.best() if trial_id is None else find_trial(files, trial_id)
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


def _is_best(files: SweepFiles, trial: TrialFiles) -> bool:
    try:
        return trial.id == files.best()[0].id
    except StorageError:
        return False
