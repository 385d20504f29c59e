"""The driver of a sweep: check, plan, then let Ray Tune run the trials. Imports everything that training needs."""

from __future__ import annotations

import time
from collections.abc import Callable

import optuna

from segray.cluster.connection import Connection
from segray.cluster.resources import make_plan, worker_bytes
from segray.config.keys import values_deciding
from segray.config.mark import Decides
from segray.data.splits.split_record import check_splits, record_splits
from segray.engine.samples import write_samples
from segray.storage import BASELINE_ID, SweepFiles
from segray.tuning.preflight import Checked, check
from segray.tuning.run.first_start import record_start
from segray.tuning.run.phases import run_phases
from segray.tuning.run.resuming import as_begun, check_same_data, check_same_sweep
from segray.tuning.run.snapshot import SweepSnapshot, num_ended
from segray.tuning.run.wanted_repeats import rules_of, standing, without_outcome
from segray.tuning.sweep import Sweep, check_values

Announce = Callable[[str], None]


def drive(sweep: Sweep, files: SweepFiles, connection: Connection, announce: Announce) -> None:
    """Check a sweep, write its record, and run its trials.

    Args:
        sweep: What to run; its budget and name are already checked.
        files: The sweep's files.
        connection: A cluster, which may still be starting.
        announce: Called with each line on what happens before the first trial.

    Raises:
        SegrayError: Something cannot work; nothing has been written then.
    """
    # Optuna announces each study that is created, also the one that preflight draws its samples from.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sweep.resume:
        files.folder.remove_partials()
    earlier = SweepSnapshot(files.folder)
    done = num_ended(earlier, retry_failed=sweep.retry_failed)
    wanted = standing(earlier, rules_of(sweep)).wanted
    repeats = without_outcome(earlier, wanted, retry_failed=sweep.retry_failed)
    left = None if sweep.trials is None else max(0, sweep.trials - done)
    if sweep.contestants:
        left = 0
    if left == 0 and not repeats:
        announce(f"nothing left to do: {_describe_end(sweep, earlier, done)}")
        if not sweep.contestants:
            _mark_finished(files, done)
        return
    # Where repeats were cut, the search is over, even if time ended it; a retry of failed trials opens it again.
    is_over = bool(repeats) and _was_repeating(earlier, sweep.trials) and done == num_ended(earlier)
    searches = left != 0 and not is_over
    if sweep.resume:
        sweep = as_begun(sweep, earlier.info())
        # What the first start decided may not go with what this one asks for.
        check_values(sweep)
        # Before images are decoded, which takes time, and room from other entries of the cache.
        check_same_data(earlier, sweep.base)
    plan = make_plan(sweep.resources, connection.nodes(), left if searches else len(repeats))
    gpu_bytes = connection.gpu_bytes() if plan.gpus_per_worker else None
    checked = check(
        sweep,
        num_workers=plan.workers_per_trial,
        cpu_threads=plan.cpu_threads,
        announce=announce,
        gpu_bytes=gpu_bytes,
        worker_bytes=worker_bytes(plan, connection.nodes(), gpu_bytes),
    )
    announce(plan.describe())
    if sweep.resume:
        check_same_sweep(earlier, sweep, checked)
    else:
        record_start(sweep, checked, plan, files, announce)
    _keep_splits(files, checked)
    if not files.folder.exists("samples"):
        write_samples(files.folder, checked.data)
    # After all checks, since a resume that is refused must leave the failed trials as they are.
    if sweep.retry_failed and _reopen_failed(files, announce):
        # The first snapshot has read the outcomes that are now deleted.
        earlier = SweepSnapshot(files.folder)
    run_phases(sweep, checked, files, earlier, connection.nodes(), search_plan=plan if searches else None)


def _reopen_failed(files: SweepFiles, announce: Announce) -> bool:
    """Let failed trials and repeats go on as if they had been interrupted; returns whether there are any."""
    # Diverged trials and trials out of memory are no failures here: they would end the same way again.
    failed = [trial for trial in files.trials_and_repeats() if trial.is_over() and not trial.is_over(retry_failed=True)]
    for trial in failed:
        trial.reopen()
    if failed:
        announce(f"failed before, taken up again: {', '.join(trial.id for trial in failed)}")
    return bool(failed)


def _describe_end(sweep: Sweep, files: SweepFiles, done: int) -> str:
    if sweep.contestants:
        return f"the race is over, or has had all {sweep.num_seeds} seeds; ask for more with --top or --seeds"
    if not files.info().space:
        otherwise = "leave --resume out and choose another --name to train again from the start"
        if not files.trial(BASELINE_ID).is_over(retry_failed=True):
            return f"the run has failed; add --retry-failed to go on with it, or {otherwise}"
        failed = "failed" if files.trial(BASELINE_ID).has_failed() else "ended"
        return f"the run has {failed}; {otherwise}"
    what = f"{done} of {sweep.trials} trials" + (" and their repeats" if sweep.num_seeds else "")
    return f"{what} have ended; ask for more with --trials or --repeats"


def _was_repeating(files: SweepFiles, trials: int | None) -> bool:
    """Return whether an earlier start asked for as many trials and was cut in its repeats; its search is over then."""
    state = files.state()
    return state is not None and state.repeating and state.status != "finished" and trials in (None, state.trials)


def _mark_finished(files: SweepFiles, trials: int) -> None:
    """Mark a sweep finished when no trials remain."""
    state = files.state()
    if state is not None and state.status != "finished":
        now = {"status": "finished", "updated_at": time.time(), "trials": trials}
        files.write_state(state.model_copy(update=now))


def _keep_splits(files: SweepFiles, checked: Checked) -> None:
    """Write splits.json at the first start; at a resume, check that splits and labels are the same."""
    begun_with = files.splits()
    # Each way to read labels once, such as each number of clusters; most data sections differ in sampling alone.
    targets = {str(values_deciding(config, Decides.TARGETS)): config for config in checked.all_data}
    configs = targets.values()
    if begun_with is None:
        files.write_splits(record_splits(checked.base.data, configs))
    else:
        for config in configs:
            check_splits(begun_with, config)
