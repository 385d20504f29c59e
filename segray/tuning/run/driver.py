"""The driver of a sweep: check, plan, then let Ray Tune run it. Imports everything that training needs."""

from __future__ import annotations

import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna

from segray.cluster.connection import Connection
from segray.cluster.resources import Plan, make_plan
from segray.config import RunConfig
from segray.config.keys import FREE_ON_RESUME, keys_deciding, values_deciding
from segray.config.mark import Decides
from segray.data.preparation import PreparedData, with_absolute_paths
from segray.data.splits.split_record import check_splits, record_splits
from segray.engine.trial import write_samples
from segray.errors import ConfigError, DataError, listed
from segray.metrics import majority_class_miou
from segray.recipes import RECIPES
from segray.records import SweepInfo
from segray.shown import redacted
from segray.storage import BASELINE_ID, SweepFiles
from segray.tuning.preflight import Checked, check
from segray.tuning.preflight.judging import describe_judging
from segray.tuning.run.phases import num_ended, run_phases
from segray.tuning.run.repeats import wanted_repeats, without_outcome
from segray.tuning.samplers import sampler_name
from segray.tuning.space import STEPS, describe
from segray.tuning.sweep import Sweep

VERSIONED = ("segray", "ray", "torch", "segmentation-models-pytorch", "albumentations", "optuna", "numpy")


def drive(sweep: Sweep, files: SweepFiles, connection: Connection, announce: Callable[[str], None]) -> None:
    """Check a sweep, write what it is, and run its trials.

    Args:
        sweep: What to run; its budget and name are checked already.
        files: Where it lies.
        connection: A cluster, which may still be starting.
        announce: Told in lines what happens before the first trial.

    Raises:
        SegrayError: Something cannot work; nothing has been written then.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sweep.resume:
        files.folder.remove_partials()
    done = num_ended(files, retry_failed=sweep.retry_failed)
    wanted = wanted_repeats(files, sweep.base.seed, sweep.repeats)
    repeats = without_outcome(files, wanted, retry_failed=sweep.retry_failed)
    left = None if sweep.trials is None else max(0, sweep.trials - done)
    if left == 0 and not repeats:
        announce(f"nothing left to do: {_all_done(sweep, files, done)}")
        _mark_finished(files, done)
        return
    retries = done < num_ended(files)
    searches = left != 0 and (retries or not (repeats and _was_repeating(files, sweep.trials)))
    if sweep.resume:
        sweep = _as_begun(sweep, files.info())
        _check_same_data(files, sweep.base)
    plan = make_plan(sweep.resources, connection.nodes(), left if searches else len(repeats))
    checked = check(sweep, num_workers=plan.workers_per_trial, announce=announce)
    announce(plan.describe())
    if sweep.resume:
        _check_same_sweep(files.info(), sweep, checked)
        _check_same_mean(files, checked.data)
        _check_same_labels(files.info(), checked.data)
    else:
        who = "the best trial" if checked.distributions else "the trained model"
        for line in describe_judging(checked.base.data, checked.data, who=who):
            announce(line)
        files.write_info(_info(sweep, checked, plan))
    _keep_splits(files, checked)
    if not files.folder.exists("samples"):
        write_samples(files.folder, checked.data)
    if sweep.retry_failed:
        _reopen_failed(files, announce)
    run_phases(sweep, checked, files, connection.nodes(), search_plan=plan if searches else None)


def _reopen_failed(files: SweepFiles, announce: Callable[[str], None]) -> None:
    """Have trials and repeats that have failed go on as if they had been interrupted."""
    failed = [trial for trial in files.trials_and_repeats() if trial.is_over() and not trial.is_over(retry_failed=True)]
    for trial in failed:
        trial.reopen()
    if failed:
        announce(f"failed before, taken up again: {', '.join(trial.id for trial in failed)}")


def _all_done(sweep: Sweep, files: SweepFiles, done: int) -> str:
    if not files.info().space:
        anew = "leave --resume out and choose another --name to train anew"
        if not files.trial(BASELINE_ID).is_over(retry_failed=True):
            return f"the run has failed; add --retry-failed to go on with it, or {anew}"
        failed = "failed" if files.trial(BASELINE_ID).has_failed() else "ended"
        return f"the run has {failed}; {anew}"
    what = f"{done} of {sweep.trials} trials" + (" and their repeats" if sweep.repeats else "")
    return f"{what} have ended; ask for more with --trials or --repeats"


def _was_repeating(files: SweepFiles, trials: int | None) -> bool:
    """Whether an earlier start asked for as many trials and ended in its repeats: then the search is not taken up."""
    state = files.state()
    return state is not None and state.repeating and state.status != "finished" and trials in (None, state.trials)


def _mark_finished(files: SweepFiles, trials: int) -> None:
    """Of a sweep that was interrupted after its last trial, or is asked for no more than has ended."""
    state = files.state()
    if state is not None and state.status != "finished":
        now = {"status": "finished", "updated_at": time.time(), "trials": trials}
        files.write_state(state.model_copy(update=now))


def _as_begun(sweep: Sweep, info: SweepInfo) -> Sweep:
    """A resumed sweep in which what is left open comes to what it came to at the first start."""
    is_open = sweep.base.model.encoder_weights == "auto"
    values = {"model.encoder_weights": info.base["model.encoder_weights"]} if is_open else {}
    return replace(sweep, base=sweep.base.with_values(values), epochs=sweep.epochs or info.max_epochs)


def _check_same_sweep(info: SweepInfo, sweep: Sweep, checked: Checked) -> None:
    described = _described(checked)
    if not info.val_classes:
        # Earlier versions did not write steps.
        described = {key: text.split(STEPS)[0] for key, text in described.items()}
    before = _base_before(info) | _spaces(info.space)
    now = checked.base.flat() | _spaces(described)
    if info.space:
        before |= {"--epochs": info.max_epochs, "--sampler": info.sampler, "--scheduler": info.scheduler}
        now |= {
            "--epochs": checked.max_epochs,
            "--sampler": sampler_name(sweep.sampler),
            "--scheduler": sweep.scheduler,
        }
        # Earlier versions did not record them.
        if info.scheduler_settings:
            before |= _as_options("--sampler-option", info.sampler_options)
            before |= _as_options("scheduler", info.scheduler_settings)
            now |= _as_options("--sampler-option", sweep.sampler_options)
            now |= _as_options("scheduler", _scheduler_settings(sweep))
    _refuse_changed(before, now)


def _as_options(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind} {name}": value for name, value in values.items()}


def _scheduler_settings(sweep: Sweep) -> dict[str, float]:
    return {"grace_epochs": sweep.grace_epochs, "reduction_factor": sweep.reduction_factor}


def _spaces(described: Mapping[str, str]) -> dict[str, str]:
    # Sweeps of earlier versions wrote tuples as Python does.
    return {f"space of {key}": text.translate(str.maketrans("()", "[]")) for key, text in described.items()}


def _check_same_mean(files: SweepFiles, data: PreparedData) -> None:
    """Refuse a resume whose mIoU would be the mean over other classes than that of the trials before it.

    An earlier version added a class that validation lacks to the mean of an epoch in which the model predicted it.
    """
    info, key = files.info(), "classes of the validation labels"
    if info.val_classes:
        _refuse_changed({key: info.val_classes}, {key: data.val_classes})
        return
    lacking = [index for index, name in enumerate(info.classes) if name not in data.val_classes]
    records = [record for trial in (*files.trials(), *files.repeats().values()) for record in trial.records()]
    added = [info.classes[index] for index in lacking if any(record.val_iou[index] is not None for record in records)]
    if added:
        raise ConfigError(
            f"an earlier version of segray began {files.name!r} and counted {', '.join(added)} in the mIoU of some "
            "epochs, though no validation image has them; this version does not, so old and new trials cannot be "
            "compared: resume with that version, or choose another --name"
        )


def _check_same_labels(info: SweepInfo, data: PreparedData) -> None:
    """Refuse a resume whose labels decode differently, by the figure that sweep.json has of them since its start."""
    name, miou = _majority(data)
    # An earlier version counted a majority class that validation lacks.
    if name in data.val_classes and (name != info.majority_class or not math.isclose(miou, info.majority_val_miou)):
        raise DataError(
            f"labels decode differently than when {info.name!r} began: predicting {info.majority_class} everywhere had "
            f"{info.majority_val_miou:.6f} val mIoU, and predicting {name} everywhere has {miou:.6f} now. Files have "
            "changed, or an earlier version of segray read them by other ids; restore the files, or start a new sweep "
            "under another --name"
        )


def _majority(data: PreparedData) -> tuple[str, float]:
    """The most frequent class of the training labels, and the val mIoU of predicting it everywhere."""
    majority, miou = majority_class_miou(data.train.truth_pixels, data.val.truth_pixels)
    return data.scored_space.names[majority], miou


def _check_same_data(files: SweepFiles, base: RunConfig) -> None:
    """Refuse a resume on other data before an image of it is decoded, which takes time, and room from other entries."""
    now = base.flat()
    before = {key: value for key, value in _base_before(files.info()).items() if key.startswith("data.")}
    _refuse_changed(before, {key: now.get(key) for key in before})
    begun_with = files.splits()
    if begun_with is not None:
        check_splits(begun_with, with_absolute_paths(base.data))


def _base_before(info: SweepInfo) -> dict[str, Any]:
    """Return the base config of an earlier start; keys that its version did not have are at their defaults."""
    return RunConfig().flat() | info.base


def _refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [
        f"{key}: was {before.get(key)!r}, now {now.get(key)!r}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key) and key not in keys_deciding(*FREE_ON_RESUME)
    ]
    if changed:
        raise ConfigError(
            "what is resumed must keep its config, space, epochs, sampler and scheduler, or it cannot be compared, "
            f"but these changed; put them back, or choose another --name:{listed(changed)}"
        )


def _keep_splits(files: SweepFiles, checked: Checked) -> None:
    """Write which images are on which side and how labels are read; of a sweep that has begun, check that it is so."""
    begun_with = files.splits()
    targets = {str(values_deciding(config, Decides.TARGETS)): config for config in checked.data_configs}
    configs = targets.values()
    if begun_with is None:
        files.write_splits(record_splits(checked.base.data, configs))
    else:
        for config in configs:
            check_splits(begun_with, config)


def _described(checked: Checked) -> dict[str, str]:
    return {key: describe(distribution) for key, distribution in checked.distributions.items()}


def _changed_values(recipe: str, base: RunConfig) -> dict[str, Any]:
    """The values of a published recipe where a base has others; of one's own recipe there is nothing to compare."""
    if recipe not in RECIPES:
        return {}
    here, published = base.flat(), RECIPES[recipe].config.flat()
    left_out = set(keys_deciding(*FREE_ON_RESUME))
    if "model.encoder_weights" in RECIPES[recipe].settings:
        # "auto" is there for those who cannot fetch what was published.
        published["model.encoder_weights"] = "imagenet"
    else:
        # Of a network without an encoder, auto has come to none.
        left_out.add("model.encoder_weights")
    return {key: published[key] for key in here if here[key] != published[key] and key not in left_out}


def _info(sweep: Sweep, checked: Checked, plan: Plan) -> SweepInfo:
    data = checked.data
    space = data.scored_space
    majority_class, majority_val_miou = _majority(data)
    return SweepInfo(
        name=sweep.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=redacted(shlex.join(sys.argv)),
        base=checked.base.flat(),
        space=_described(checked),
        recipe=sweep.recipe,
        recipe_values=_changed_values(sweep.recipe, checked.base),
        first_trials=tuple(dict(point) for point in checked.first_trials),
        sampler=sampler_name(sweep.sampler),
        sampler_options=dict(sweep.sampler_options),
        scheduler=sweep.scheduler,
        scheduler_settings=_scheduler_settings(sweep),
        seed=sweep.seed,
        max_epochs=checked.max_epochs,
        classes=space.names,
        colors=space.colors,
        majority_class=majority_class,
        majority_val_miou=majority_val_miou,
        val_classes=data.val_classes,
        encoder_weights=checked.weights_line,
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        git_revision=_git_revision(),
        hardware={
            "machine": f"{platform.system()} {platform.machine()}",
            "nodes": plan.num_nodes,
            "cpus": plan.total_cpus,
            "gpus": plan.total_gpus,
            "plan": plan.describe(),
        },
    )


def _git_revision() -> str:
    """The revision of the study's checkout, with a plus if it has changes; empty outside a checkout."""
    folder = Path(sys.argv[0]).resolve().parent
    if not folder.is_dir():
        return ""
    command = ["git", "-C", os.fspath(folder), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
