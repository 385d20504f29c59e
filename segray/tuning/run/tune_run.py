"""One run of Ray Tune over warm worker groups: a phase of a sweep."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray
from ray import tune
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from segray.cluster.channel import Channel
from segray.cluster.resources import Plan
from segray.errors import ClusterError, SegrayError
from segray.goals import Goals
from segray.storage import SweepFiles
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.preflight import Checked
from segray.tuning.run.controls import Controls, Search
from segray.tuning.run.early_stopping import Fifo
from segray.tuning.run.progress import Progress, View
from segray.tuning.run.retries import Retries
from segray.tuning.run.slot import Slot
from segray.tuning.run.supervisor import StateFile, Stop, Supervisor
from segray.tuning.schedulers import find_scheduler
from segray.tuning.sweep import Sweep

TUNE_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    # Relative paths keep their meaning in slots.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune's handler would take the place of segray's, which lets workers finish their batch.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
"""Settings that switch off Tune's banner, folder changes, loggers, signal handler and tracebacks."""


@dataclass(frozen=True)
class Shared:
    """The objects that both phases use."""

    sweep: Sweep
    checked: Checked
    files: SweepFiles
    view: View
    stop: Stop
    state: StateFile
    callbacks: Dispatcher
    controls: Controls


def run_tune(
    shared: Shared,
    plan: Plan,
    progress: Progress,
    searcher: Retries,
    scheduler: Fifo,
    goals: Goals,
    search: Search | None = None,
) -> None:
    """Run Tune once, with a channel and worker groups of its own.

    Args:
        shared: The objects that all phases use.
        plan: How the phase uses the cluster.
        progress: The phase's numbers, which a person sees.
        searcher: Hands out the trials.
        scheduler: Stops weak ones.
        goals: Objectives and constraints of the trials.
        search: The search as persons may change it; None for repeats.

    Raises:
        ClusterError: A part of Ray failed.
        SegrayError: The searcher or a callback raised it.
    """
    os.environ |= TUNE_ENVIRONMENT
    # On the driver's node: the loss of another node cannot take the channel away.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # Each worker that waits for a task or verdict, and each slot that waits for an epoch, takes one place of the actor.
    channel = ray.remote(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here)(Channel).remote()
    files, base, view = shared.files, shared.checked.base, shared.view
    view.progress = progress
    shared.stop.watch(channel, progress.deadline)
    shared.controls.begin_phase(channel, progress, searcher, search, shared.stop.stop_all)
    shared.state.write("running")
    with tempfile.TemporaryDirectory(prefix="segray-") as scratch, _unwrapping():
        tune.Tuner(
            tune.with_parameters(
                # Tune gives a trial one CPU unless told, and refuses a request of nothing: so memory.
                tune.with_resources(Slot, {"cpu": 0, "memory": plan.helpers_bytes}),
                channel=channel,
                sweep=files,
                plan=plan,
                limits=shared.sweep.limits,
                base=base,
                goals=goals,
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                # No limit: the searcher says when it has no more trials.
                num_samples=-1,
                # Tune's limiter counts a trial that Tune paused as running; so a pause of segray's ends Tune's trial.
                max_concurrent_trials=plan.slots,
                # A warm group adds 0.8 s to a trial, a group of its own 10 to 15 s.
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                # A resume reads the sweep's own files, so Tune's may go.
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
                        scheduler.is_paused,
                        find_scheduler(shared.sweep.chosen_scheduler).verdict,
                        shared.callbacks,
                    ),
                    shared.controls,
                ],
            ),
        ).fit()
    shared.controls.end_phase()


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
