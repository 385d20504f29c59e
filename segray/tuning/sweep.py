"""run_sweep(): from a checked sweep to its files."""

from __future__ import annotations

import math
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import optuna
import ray
from ray import tune

from segray.cluster.channel import Channel
from segray.cluster.connection import connected, living_nodes
from segray.cluster.resources import Plan, Resources, make_plan
from segray.config import RunConfig
from segray.engine.trial import write_samples
from segray.errors import ConfigError, StorageError, listed
from segray.metrics import majority_class_miou
from segray.storage import SweepFiles, SweepInfo, open_sweep
from segray.tuning.conductor import Conductor, Stop
from segray.tuning.preflight import Checked, check, describe
from segray.tuning.progress import Progress, View
from segray.tuning.scheduler import make_scheduler, replay
from segray.tuning.search import Space, StudySearch, make_sampler
from segray.tuning.slot import Slot

MAX_ATTEMPTS_OF_A_SLOT = 2
"""How often Tune starts a slot again whose own process died."""

TUNE_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}
"""No banner, no folder changes, no loggers, no signal handler of Tune's own."""

MAY_DIFFER_ON_RESUME = {"data.root", "data.cache_dir", "data.num_loader_workers", "train.epochs"}
VERSIONED = ("segray", "ray", "torch", "segmentation-models-pytorch", "albumentations", "optuna", "numpy")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What to search, on what, and for how long."""

    name: str
    base: RunConfig
    """The run that every trial starts from"""
    space: Space
    """Module-level function that draws dotted keys of RunConfig"""
    first_trials: Sequence[Mapping[str, Any]] = ()
    """Values of the first trials; the very first is the baseline that the report compares with"""
    trials: int | None = None
    """Trials in all, over all starts of the sweep"""
    minutes: float | None = None
    """Time for this start"""
    epochs: int | None = None
    """No trial runs longer"""
    searcher: Literal["tpe", "random"] = "tpe"
    scheduler: Literal["asha", "none"] = "asha"
    grace_epochs: int = 1
    reduction_factor: float = 3.0
    resources: Resources = field(default_factory=Resources)
    storage: str = "runs"
    """Path or pyarrow URL of the folder that holds the sweep's folder"""
    seed: int = 0
    resume: bool = False


def run_sweep(sweep: Sweep, announce: Callable[[str], None] = print) -> SweepFiles:
    """Run a sweep to its end, or until its time is spent or it is interrupted.

    Args:
        sweep: What to run.
        announce: Told in lines what happens before the first trial.

    Returns:
        The sweep's files.

    Raises:
        SegrayError: Something cannot work; nothing has been written then.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    files = open_sweep(f"{sweep.storage.rstrip('/')}/{sweep.name}")
    _check_budget(sweep)
    _check_name(files, sweep.resume)
    checked = check(
        sweep.base,
        sweep.space,
        sweep.first_trials,
        max_epochs=sweep.epochs,
        num_workers=sweep.resources.workers_per_trial,
        announce=announce,
    )
    if sweep.resume:
        _check_same_sweep(files, checked)
    done = sum(files_of_trial.outcome() is not None for files_of_trial in files.trials())
    if sweep.trials is not None and done >= sweep.trials:
        announce(f"nothing left to do: {done} of {sweep.trials} trials have ended; ask for more with --trials")
        return files
    with connected():
        remaining = None if sweep.trials is None else sweep.trials - done
        plan = make_plan(sweep.resources, living_nodes(), max_slots=remaining)
        announce(plan.describe())
        if not sweep.resume:
            files.write_info(_info(sweep, checked, plan))
            write_samples(files.folder, checked.data)
        _tune(sweep, checked, plan, files, done)
    return files


def _tune(sweep: Sweep, checked: Checked, plan: Plan, files: SweepFiles, done: int) -> None:
    os.environ |= TUNE_ENVIRONMENT
    channel = ray.remote(num_cpus=0, max_concurrency=10_000)(Channel).remote()
    state = files.state()
    progress = Progress(
        total=sweep.trials,
        slots=plan.slots,
        deadline=None if sweep.minutes is None else time.monotonic() + 60 * sweep.minutes,
        done=done,
    )
    search = StudySearch(files, checked.space, make_sampler(sweep.searcher, sweep.seed + done), checked.first_trials)
    scheduler = make_scheduler(
        sweep.scheduler,
        max_epochs=checked.max_epochs,
        grace_epochs=sweep.grace_epochs,
        reduction_factor=sweep.reduction_factor,
    )
    replay(scheduler, files)
    stop = Stop(channel, progress.deadline)
    with View(progress) as view, _signals(stop, view), tempfile.TemporaryDirectory(prefix="segray-tune-") as tune_files:
        conductor = Conductor(channel, files, checked.base, progress, view, state.seconds if state else 0.0)
        conductor.write_state("running")
        tune.Tuner(
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
                name=sweep.name,
                storage_path=tune_files,
                stop=stop,
                verbose=0,
                callbacks=[conductor],
                failure_config=tune.FailureConfig(max_failures=MAX_ATTEMPTS_OF_A_SLOT),
            ),
        ).fit()
        conductor.write_state("interrupted" if stop.asked else "finished")


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


def _check_budget(sweep: Sweep) -> None:
    if sweep.trials is None and sweep.minutes is None:
        raise ConfigError("a sweep needs an end: give --trials or --minutes")
    if sweep.trials is not None and sweep.trials < 1:
        raise ConfigError(f"--trials must be at least 1, but got {sweep.trials}")
    if sweep.minutes is not None and not 0 < sweep.minutes < math.inf:
        raise ConfigError(f"--minutes must be above 0, but got {sweep.minutes:g}")


def _check_name(files: SweepFiles, resume: bool) -> None:
    if files.exists() and not resume:
        raise StorageError(
            f"there is a sweep at {files.folder.path!r} already; continue it with --resume, or choose another --name"
        )
    if resume and not files.exists():
        raise StorageError(f"there is no sweep to resume at {files.folder.path!r}; leave --resume out to start it")
    if not files.exists():
        _check_writable(files)


def _check_writable(files: SweepFiles) -> None:
    """Write a file where the sweep will lie, and delete it and all folders that were made for it."""
    if files.folder.names():
        raise StorageError(f"{files.folder.path!r} holds files that are not a sweep's; choose another --name")
    made = files.folder
    while not (parent := made.parent).exists():
        made = parent
    files.folder.write_bytes("writable", b"")
    made.delete()


def _check_same_sweep(files: SweepFiles, checked: Checked) -> None:
    before, now = files.info().base, checked.base.flat()
    changed = [
        f"{key}: was {before.get(key)!r}, now {value!r}"
        for key, value in now.items()
        if before.get(key) != value and key not in MAY_DIFFER_ON_RESUME
    ]
    if changed:
        raise ConfigError(
            f"a resumed sweep must keep its base config, or its trials cannot be compared, but these keys "
            f"changed; put them back, or choose another --name:{listed(changed)}"
        )


def _info(sweep: Sweep, checked: Checked, plan: Plan) -> SweepInfo:
    data = checked.data
    majority, majority_miou = majority_class_miou(data.train.class_pixels, data.val.class_pixels)
    return SweepInfo(
        name=sweep.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(sys.argv),
        base=checked.base.flat(),
        space={key: describe(distribution) for key, distribution in checked.distributions.items()},
        first_trials=tuple(dict(point) for point in checked.first_trials),
        searcher=sweep.searcher,
        scheduler=sweep.scheduler,
        seed=sweep.seed,
        max_epochs=checked.max_epochs,
        classes=data.label_space.names,
        colors=data.label_space.colors,
        majority_class=data.label_space.names[majority],
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
    except OSError:
        return ""
    return result.stdout.strip()
