"""The driver of a sweep: check, plan, then let Ray Tune run it. Imports everything that training needs."""

from __future__ import annotations

import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from segray.cluster.channel import Channel
from segray.cluster.connection import Connection
from segray.cluster.resources import Plan, make_plan
from segray.config import RunConfig
from segray.data.cache import with_absolute_paths
from segray.data.split_record import check_splits, record_splits
from segray.engine.trial import write_samples
from segray.errors import ConfigError, listed
from segray.metrics import majority_class_miou
from segray.records import SweepInfo
from segray.storage import SweepFiles
from segray.tuning.conductor import Conductor, Stop, best_so_far
from segray.tuning.preflight import Checked, check, describe
from segray.tuning.progress import Progress, View
from segray.tuning.scheduler import make_scheduler
from segray.tuning.search import StudySearch, make_sampler
from segray.tuning.slot import Slot
from segray.tuning.sweep import Sweep

SLOT_RETRIES = 2
"""How often Tune starts a trial again whose slot's own process died."""

TUNE_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}
"""No banner, no folder changes, no loggers, no signal handler of Tune's own."""

MAY_DIFFER_ON_RESUME = {"data.root", "data.cache_dir", "data.num_loader_workers"}
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
    done = sum(trial.outcome() is not None for trial in files.trials())
    if sweep.trials is not None and done >= sweep.trials:
        announce(f"nothing left to do: {done} of {sweep.trials} trials have ended; ask for more with --trials")
        _mark_finished(files, sweep.trials)
        return
    if sweep.resume:
        sweep = _as_begun(sweep, files.info())
        _check_same_data(files, sweep.base)
    plan = make_plan(sweep.resources, connection.nodes(), None if sweep.trials is None else sweep.trials - done)
    checked = check(
        sweep.base,
        sweep.space,
        sweep.first_trials,
        max_epochs=sweep.epochs,
        num_workers=plan.workers_per_trial,
        announce=announce,
    )
    announce(plan.describe())
    if sweep.resume:
        _check_same_sweep(files.info(), sweep, checked)
    else:
        files.write_info(_info(sweep, checked, plan))
    _keep_splits(files, checked)
    if not files.folder.exists("samples"):
        write_samples(files.folder, checked.data)
    _tune(sweep, checked, plan, files, done)


def _tune(sweep: Sweep, checked: Checked, plan: Plan, files: SweepFiles, done: int) -> None:
    os.environ |= TUNE_ENVIRONMENT
    # Beside the driver, whose end is the sweep's: no other node can take the channel away.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    channel = ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(Channel).remote()
    progress = _progress(sweep, plan, files, done)
    state = files.state()
    stop = Stop(channel, progress.deadline)
    scheduler = make_scheduler(
        sweep.scheduler,
        files,
        max_epochs=checked.max_epochs,
        grace_epochs=sweep.grace_epochs,
        reduction_factor=sweep.reduction_factor,
    )
    with View(progress) as view, _signals(stop, view), tempfile.TemporaryDirectory(prefix="segray-") as scratch:
        sampler = make_sampler(sweep.searcher, sweep.seed + len(files.trials()))
        search = StudySearch(files, checked.space, sampler, checked.first_trials, Path(scratch, "study.db"))
        conductor = Conductor(channel, files, checked.base, progress, view, state.seconds if state else 0.0)
        tuner = tune.Tuner(
            tune.with_parameters(
                tune.with_resources(Slot, {"cpu": 0, "memory": 1}),
                channel=channel,
                sweep=files,
                plan=plan,
                base=checked.base,
            ),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=scheduler,
                num_samples=-1 if sweep.trials is None else sweep.trials - done,
                max_concurrent_trials=plan.slots,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                stop=stop,
                verbose=0,
                callbacks=[conductor],
                failure_config=tune.FailureConfig(max_failures=SLOT_RETRIES),
            ),
        )
        conductor.write_state("running")
        status = "interrupted"
        try:
            tuner.fit()
            if not stop.asked:
                status = "finished"
        finally:
            conductor.write_state(status)


def _progress(sweep: Sweep, plan: Plan, files: SweepFiles, done: int) -> Progress:
    best, best_id = best_so_far(files)
    return Progress(
        total=sweep.trials,
        slots=plan.slots,
        deadline=None if sweep.minutes is None else time.monotonic() + 60 * sweep.minutes,
        done=done,
        best=best,
        best_id=best_id,
    )


@contextmanager
def _signals(stop: Stop, view: View) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the sweep cleanly, the second at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        view.say(f"{signal.Signals(number).name}: ending the running trials at their next batch; again to end at once")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


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
    before = info.base | {f"space of {key}": text for key, text in info.space.items()}
    before |= {"--epochs": info.max_epochs, "--searcher": info.searcher, "--scheduler": info.scheduler}
    now = checked.base.flat() | {f"space of {key}": text for key, text in _described(checked).items()}
    now |= {"--epochs": checked.max_epochs, "--searcher": sweep.searcher, "--scheduler": sweep.scheduler}
    _refuse_changed(before, now)


def _check_same_data(files: SweepFiles, base: RunConfig) -> None:
    """Refuse a resume on other data before an image of it is decoded, which takes time, and room from other entries."""
    now = base.flat()
    before = {key: value for key, value in files.info().base.items() if key.startswith("data.")}
    _refuse_changed(before, {key: now.get(key) for key in before})
    begun_with = files.splits()
    if begun_with is not None:
        check_splits(begun_with, with_absolute_paths(base.data))


def _refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [
        f"{key}: was {before.get(key)!r}, now {now.get(key)!r}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key) and key not in MAY_DIFFER_ON_RESUME
    ]
    if changed:
        raise ConfigError(
            "a resumed sweep must keep its base config, space, epochs, searcher and scheduler, or its trials cannot be "
            f"compared, but these changed; put them back, or choose another --name:{listed(changed)}"
        )


def _keep_splits(files: SweepFiles, checked: Checked) -> None:
    """Write which images are on which side and how labels are read; of a sweep that has begun, check that it is so."""
    begun_with = files.splits()
    # Of the keys that images or labels depend on, no other may differ from trial to trial.
    configs = {config.pairs: config for config in checked.data_configs}.values()
    if begun_with is None:
        files.write_splits(record_splits(checked.base.data, configs))
    else:
        for config in configs:
            check_splits(begun_with, config)


def _described(checked: Checked) -> dict[str, str]:
    return {key: describe(distribution) for key, distribution in checked.distributions.items()}


def _info(sweep: Sweep, checked: Checked, plan: Plan) -> SweepInfo:
    data = checked.data
    space = data.scored_space
    majority, majority_miou = majority_class_miou(data.train.truth_pixels, data.val.truth_pixels)
    return SweepInfo(
        name=sweep.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(sys.argv),
        base=checked.base.flat(),
        space=_described(checked),
        first_trials=tuple(dict(point) for point in checked.first_trials),
        searcher=sweep.searcher,
        scheduler=sweep.scheduler,
        seed=sweep.seed,
        max_epochs=checked.max_epochs,
        classes=space.names,
        colors=space.colors,
        majority_class=space.names[majority],
        majority_val_miou=majority_miou,
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
