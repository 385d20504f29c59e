"""Checks of a resume: what decides a trial's score must be as at the first start, or trials cannot be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from segray.config import RunConfig
from segray.config.keys import FREE_ON_RESUME, keys_deciding
from segray.data.preparation import PreparedData, with_absolute_paths
from segray.data.splits.split_record import check_splits
from segray.errors import ConfigError, DataError, StorageError, listed
from segray.goals import Goals
from segray.objective import MIOU
from segray.records import SweepInfo
from segray.storage import SweepFiles
from segray.tuning.preflight import Checked
from segray.tuning.run.sweep_record import describe_space, majority_class, scheduler_settings, shown_sources
from segray.tuning.samplers import SAMPLERS, sampler_name
from segray.tuning.space import STEPS, plain_point
from segray.tuning.sweep import Sweep
from segray.values import Values

GOALS: Final[Mapping[str, Callable[[Goals], str]]] = {
    "--objective": lambda goals: ", ".join(map(str, goals.objectives)),
    "--constraint": lambda goals: ", ".join(sorted(map(str, goals.constraints))),
}
"""Option -> how to describe what it decides."""


def as_begun(sweep: Sweep, info: SweepInfo) -> Sweep:
    """Fill in what the first start decided and this one leaves open.

    That includes encoder weights, epochs, sampler and scheduler with their options, and a trial that was planned.
    """
    # The network may be back since the first start, and auto would then mean other weights.
    is_open = sweep.base.model.encoder_weights == "auto"
    values = {"model.encoder_weights": info.base["model.encoder_weights"]} if is_open else {}
    before = info.scheduler_settings.get("grace_epochs", 1.0)
    grace_epochs = None if before is None else int(before)
    sampler = sweep.sampler or (info.sampler if info.sampler in SAMPLERS else None)
    # Another sampler has other options; a later check refuses it by its name.
    sampler_options = info.sampler_options if sampler == info.sampler else {}
    # A recipe's trial, the first one, is made again.
    recorded = info.first_trials[1:] if info.recipe else info.first_trials
    # First trials go by number, so a planned one keeps its place. Another machine would plan another one.
    if sweep.first_trial == "plan" or len(recorded) > len(sweep.first_trials):
        sweep = replace(sweep, first_trial="given", first_trials=recorded)
    return replace(
        sweep,
        base=sweep.base.with_values(values),
        epochs=sweep.epochs or info.max_epochs,
        # What was taken lies in the sweep's own folder.
        warm_start=sweep.warm_start or info.warm_start,
        sampler=sampler,
        sampler_options=sweep.sampler_options or sampler_options,
        scheduler=sweep.scheduler or info.scheduler,
        prior=sweep.prior or info.prior,
        # An earlier version learned no rung.
        grace_epochs=grace_epochs if sweep.grace_epochs is None else sweep.grace_epochs,
        reduction_factor=sweep.reduction_factor or info.scheduler_settings.get("reduction_factor"),
    )


def check_same_data(files: SweepFiles, base: RunConfig) -> None:
    """Check the data section and the files of the splits, without decoding an image.

    Raises:
        ConfigError: A key has changed.
        DataError: Images are missing, new or changed.
    """
    now = base.flat()
    before = {key: value for key, value in _base_before(files.info()).items() if key.startswith("data.")}
    _refuse_changed(before, {key: now.get(key) for key in before})
    begun_with = files.splits()
    if begun_with is not None:
        check_splits(begun_with, with_absolute_paths(base.data))


def check_same_sweep(files: SweepFiles, sweep: Sweep, checked: Checked) -> None:
    """Check base config, space, sampler and scheduler, the classes of the mean, and how labels decode.

    Raises:
        ConfigError: One of them has changed.
        DataError: Labels decode differently.
    """
    info = files.info()
    _check_same_search(info, sweep, checked)
    _check_warm_start(files)
    _check_same_mean(files, checked.data)
    # splits.json compares names and sizes, which a label file may keep when its content changes.
    _check_same_labels(info, checked.data)


def _check_same_search(info: SweepInfo, sweep: Sweep, checked: Checked) -> None:
    before, now = _base_before(info), checked.base.flat()
    # A start that only races ended trials draws none, so it needs neither space nor sampler.
    if not sweep.contestants:
        found = _search(info, sweep, checked)
        before, now = before | found[0], now | found[1]
    for option, describe_part in GOALS.items():
        before[option], now[option] = describe_part(info.goals), describe_part(sweep.goals)
    _refuse_changed(before, now)


def _search(info: SweepInfo, sweep: Sweep, checked: Checked) -> tuple[dict[str, object], dict[str, object]]:
    """Return what decided the search at the first start, and what decides it now."""
    described = describe_space(checked)
    if not info.val_classes:
        # Earlier versions did not write steps.
        described = {key: text.split(STEPS)[0] for key, text in described.items()}
    before: dict[str, object] = {**_name_space(info.space)}
    now: dict[str, object] = {**_name_space(described)}
    if info.space:
        before |= {"--epochs": info.max_epochs, "--sampler": info.sampler, "--scheduler": info.scheduler}
        before |= {f"--prior {key}": value for key, value in info.prior.items()}
        now |= {f"--prior {key}": value for key, value in plain_point(sweep.prior).items()}
        now |= {
            "--epochs": checked.max_epochs,
            "--sampler": sampler_name(sweep.chosen_sampler),
            "--scheduler": sweep.chosen_scheduler,
        }
    before["--warm-start"], now["--warm-start"] = info.warm_start, shown_sources(sweep)
    if info.space and info.scheduler_settings:
        # Earlier versions did not record them.
        before |= _as_options(info.scheduler_settings, info.sampler_options)
        now |= _as_options(scheduler_settings(sweep), sweep.sampler_options)
    return before, now


def _check_warm_start(files: SweepFiles) -> None:
    if files.info().warm_start and not files.warm_start().summary:
        raise StorageError(
            f"{files.folder.path!r} lacks warm_start.json, which holds what the sweep took from earlier ones, and "
            "without which its search would go another way; restore it from a backup, or choose another --name"
        )


def _as_options(settings: Mapping[str, object], sampler_options: Mapping[str, object]) -> dict[str, object]:
    named = {f"--{name.replace('_', '-')}": value for name, value in settings.items()}
    return named | {f"--sampler-option {name}": value for name, value in sampler_options.items()}


def _check_same_mean(files: SweepFiles, data: PreparedData) -> None:
    """Refuse a resume whose mIoU would be the mean over other classes than in the trials before it.

    An earlier version added a class that validation lacks to the mean of an epoch in which the model predicted it.
    """
    info, key = files.info(), "classes of the validation labels"
    if info.val_classes:
        _refuse_changed({key: info.val_classes}, {key: data.val_classes})
        return
    lacking = [index for index, name in enumerate(info.classes) if name not in data.val_classes]
    records = [record for trial in files.trials_and_repeats() for record in trial.records()]
    added = [
        info.classes[index]
        for index in lacking
        if any(record.class_iou(info.classes)[index] is not None for record in records)
    ]
    if added:
        raise ConfigError(
            f"an earlier version of segray began {files.name!r} and counted {', '.join(added)} in the mIoU of some "
            "epochs, though no validation image has them; this version does not, so old and new trials cannot be "
            "compared: resume with that version, or choose another --name"
        )


def _check_same_labels(info: SweepInfo, data: PreparedData) -> None:
    """Compare the score of predicting one class everywhere, which sweep.json holds since the start."""
    name, scores = majority_class(data)
    miou, before = scores[MIOU.name], info.majority_scores[MIOU.name]
    # Neither a record nor a start without labelled pixels passes its checks.
    assert miou is not None
    assert before is not None
    # An earlier version counted a majority class that validation lacks.
    if name in data.val_classes and (name != info.majority_class or not math.isclose(miou, before)):
        raise DataError(
            f"labels decode differently than when {info.name!r} began: predicting {info.majority_class} everywhere had "
            f"{before:.6f} val mIoU, and predicting {name} everywhere has {miou:.6f} now. Files have "
            "changed, or an earlier version of segray read them by other ids; restore the files, or start a new sweep "
            "under another --name"
        )


def _base_before(info: SweepInfo) -> dict[str, object]:
    """Return the base config of an earlier start; keys that its version did not have are at their defaults."""
    return RunConfig().flat() | info.base


def _name_space(described: Mapping[str, str]) -> dict[str, str]:
    # Sweeps of earlier versions wrote tuples as Python does.
    return {f"space of {key}": text.translate(str.maketrans("()", "[]")) for key, text in described.items()}


def _refuse_changed(before: Values, now: Values) -> None:
    changed = [
        f"{key}: was {before.get(key)!r}, now {now.get(key)!r}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key) and key not in keys_deciding(*FREE_ON_RESUME)
    ]
    if changed:
        raise ConfigError(
            "a resume must keep config, space, objective, epochs, sampler and scheduler, or its trials cannot be "
            f"compared, but these changed; put them back, or choose another --name:{listed(changed)}"
        )
