"""The two phases of a sweep: the search, then repeats of its best trial. Each is one run of Ray Tune."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.schedulers import TrialScheduler
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from segray import text
from segray.cluster.channel import Channel
from segray.cluster.resources import Plan, make_plan
from segray.errors import ClusterError, SegrayError
from segray.records import SweepStatus
from segray.storage import SweepFiles
from segray.tuning.callbacks import make_callbacks
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.preflight import Checked
from segray.tuning.run.early_stopping import EarlyStopping, Fifo
from segray.tuning.run.progress import Progress, View
from segray.tuning.run.repeats import ListSearch, describe_repeats, repeat_values, wanted_repeats, without_outcome
from segray.tuning.run.retries import Retries
from segray.tuning.run.slot import Slot
from segray.tuning.run.study import StudySearch
from segray.tuning.run.supervisor import StateFile, Stop, Supervisor, best_so_far
from segray.tuning.samplers import make_sampler
from segray.tuning.schedulers import find_scheduler
from segray.tuning.sweep import Sweep

ECHO_SECONDS = 1.0
"""Time within which a signal counts once: `timeout` sends it to the process and again to its group."""

TUNE_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
"""Settings that switch off Tune's banner, folder changes, loggers, signal handler and tracebacks."""


@dataclass(frozen=True)
class _Shared:
    """The objects that both phases use."""

    sweep: Sweep
    checked: Checked
    files: SweepFiles
    view: View
    stop: Stop
    state: StateFile
    callbacks: Dispatcher


def run_phases(
    sweep: Sweep,
    checked: Checked,
    files: SweepFiles,
    earlier: SweepFiles,
    nodes: Sequence[Mapping[str, float]],
    search_plan: Plan | None,
) -> None:
    """Search, then repeat the best trial and the baseline, until both have ended or someone ends them.

    Args:
        sweep: The sweep to run.
        checked: Its choices after all checks.
        files: Its files.
        earlier: The files as this start found them.
        nodes: Ray resources of every living node.
        search_plan: How the search uses the nodes; None if the search has ended before.
    """
    os.environ |= TUNE_ENVIRONMENT
    progress = _search_progress(sweep, earlier, slots=search_plan.slots if search_plan else 0)
    state, stop = StateFile(files, progress), Stop()
    status: SweepStatus = "interrupted"
    with View(progress) as view, _signals(stop, view):
        callbacks = Dispatcher(make_callbacks(sweep.callbacks), view.say)
        shared = _Shared(sweep, checked, files, view, stop, state, callbacks)
        callbacks.sweep_begins(files.info(), files)
        try:
            if search_plan:
                _search(shared, earlier, search_plan, progress)
            if not stop.asked:
                _repeat(shared, nodes)
            if not stop.asked:
                status = "finished"
        finally:
            try:
                state.write(status)
            finally:
                callbacks.sweep_ends(status)


def num_ended(files: SweepFiles, *, retry_failed: bool = False) -> int:
    """Return how many trials of the search are over; with ``retry_failed``, failed trials are not."""
    return sum(trial.is_over(retry_failed=retry_failed) for trial in files.trials())


def _search(shared: _Shared, earlier: SweepFiles, plan: Plan, progress: Progress) -> None:
    sweep, checked, files = shared.sweep, shared.checked, shared.files
    rule = find_scheduler(sweep.scheduler).build(sweep.stopping(checked.max_epochs))
    scheduler = EarlyStopping(rule, files, earlier)
    # A resume would otherwise draw what the first start drew.
    sampler = make_sampler(sweep.sampler, sweep.seed + len(earlier.trials()), sweep.sampler_options)
    num_trials = None if sweep.trials is None else sweep.trials - progress.done
    with tempfile.TemporaryDirectory(prefix="segray-") as scratch:
        database = Path(scratch, "study.db")
        searcher = StudySearch(files, checked.space, sampler, checked.first_trials, database, earlier, shared.view.say)
        _tune(shared, plan, progress, Retries(searcher, num_trials), scheduler)
    if searcher.num_combinations is not None and not shared.stop.asked:
        shared.view.say(exhausted(searcher.num_combinations, progress))
        progress.total = progress.done


def exhausted(num_combinations: int, progress: Progress) -> str:
    """Return a line on a search that ended because its space has no more points."""
    of_total = f" of {progress.total}" if progress.total is not None else ""
    return (
        f"all {text.counted(num_combinations, 'combination')} of the search space have been tried; {progress.done}"
        f"{of_total} trials were run"
    )


def _repeat(shared: _Shared, nodes: Sequence[Mapping[str, float]]) -> None:
    files, base = shared.files, shared.checked.base
    wanted = wanted_repeats(files, base.seed, shared.sweep.repeats)
    missing = without_outcome(files, wanted)
    if not missing:
        return
    shared.state.repeating = True
    shared.view.say(describe_repeats(files, wanted, len(missing)))
    plan = make_plan(shared.sweep.resources, nodes, len(missing))
    progress = Progress(
        total=len(wanted), slots=plan.slots, deadline=None, done=len(wanted) - len(missing), what="repeat"
    )
    searcher = ListSearch([(repeat.id, repeat_values(files, repeat, base)) for repeat in missing])
    _tune(shared, plan, progress, Retries(searcher, len(missing)), Fifo())


def _tune(shared: _Shared, plan: Plan, progress: Progress, searcher: Retries, scheduler: TrialScheduler) -> None:
    """Run Tune once, with a channel and worker groups of its own."""
    # On the driver's node: the loss of another node cannot take the channel away.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    channel = ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(Channel).remote()
    files, base, view = shared.files, shared.checked.base, shared.view
    view.progress = progress
    shared.stop.watch(channel, progress.deadline)
    shared.state.write("running")
    with tempfile.TemporaryDirectory(prefix="segray-") as scratch, _unwrapping():
        tune.Tuner(
            tune.with_parameters(
                tune.with_resources(Slot, {"cpu": 0, "memory": plan.helpers_bytes}),
                channel=channel,
                sweep=files,
                plan=plan,
                limits=shared.sweep.limits,
                base=base,
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                # No limit: the searcher says when it has no more trials.
                num_samples=-1,
                max_concurrent_trials=plan.slots,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                stop=shared.stop,
                verbose=0,
                callbacks=[
                    Supervisor(
                        channel,
                        files,
                        base,
                        progress,
                        view,
                        shared.state,
                        searcher,
                        find_scheduler(shared.sweep.scheduler).verdict,
                        shared.callbacks,
                    )
                ],
            ),
        ).fit()


@contextmanager
def _unwrapping() -> Iterator[None]:
    """Raise the SegrayError or, as a ClusterError, the error of Ray that Tune has wrapped."""
    try:
        yield
    except Exception as error:
        inner: BaseException | None = error
        while inner is not None and not isinstance(inner, SegrayError | RayError):
            inner = inner.__cause__ or inner.__context__
        if inner is None:
            raise
        if isinstance(inner, SegrayError):
            raise inner from None
        said = str(inner).strip().splitlines() or [""]
        raise ClusterError(f"{type(inner).__name__}: {said[0]}") from error


def _search_progress(sweep: Sweep, files: SweepFiles, slots: int) -> Progress:
    best, best_id = best_so_far(files)
    return Progress(
        total=sweep.trials,
        slots=slots,
        deadline=None if sweep.minutes is None else time.monotonic() + 60 * sweep.minutes,
        done=num_ended(files),
        best=best,
        best_id=best_id,
    )


@contextmanager
def _signals(stop: Stop, view: View) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the sweep cleanly, and the second at once."""
    asked_at = 0.0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked_at
        if stop.asked:
            if time.monotonic() - asked_at > ECHO_SECONDS:
                raise KeyboardInterrupt
            return
        stop.asked, asked_at = True, time.monotonic()
        view.say(f"{signal.Signals(number).name}: ending what runs at its next batch; again to end at once")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
