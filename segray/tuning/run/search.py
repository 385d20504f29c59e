"""The first phase of a sweep: trials that the sampler proposes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from segray import text
from segray.cluster.resources import Plan
from segray.objective import find_objective
from segray.storage import SweepFiles
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.run.progress import Progress
from segray.tuning.run.retries import Retries
from segray.tuning.run.snapshot import num_ended
from segray.tuning.run.study import StudySearch
from segray.tuning.run.supervisor import best_so_far
from segray.tuning.run.tune_run import Shared, run_tune
from segray.tuning.samplers import make_sampler
from segray.tuning.schedulers import find_scheduler
from segray.tuning.sweep import Sweep


def run_search(shared: Shared, earlier: SweepFiles, plan: Plan, progress: Progress) -> None:
    """Train trials until enough have ended, the time is spent, the space has no more points, or someone ends them.

    Args:
        shared: The objects that both phases use.
        earlier: The sweep's files as this start found them.
        plan: How the search uses the cluster.
        progress: The search's numbers.
    """
    sweep, checked, files = shared.sweep, shared.checked, shared.files
    rule = find_scheduler(sweep.scheduler).build(sweep.stopping(checked.max_epochs))
    scheduler = EarlyStopping(rule, files, earlier)
    # A resume would otherwise draw what the first start drew.
    sampler = make_sampler(sweep.sampler, sweep.seed + len(earlier.trials()), sweep.sampler_options)
    num_trials = None if sweep.trials is None else sweep.trials - progress.done
    with tempfile.TemporaryDirectory(prefix="segray-") as scratch:
        # On the driver's own disk: SQLite must not lie on a network filesystem.
        database = Path(scratch, "study.db")
        searcher = StudySearch(
            files,
            checked.space,
            sampler,
            checked.first_trials,
            database,
            earlier,
            progress.objective,
            shared.view.say,
        )
        run_tune(shared, plan, progress, Retries(searcher, num_trials), scheduler)
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


def search_progress(sweep: Sweep, files: SweepFiles, slots: int) -> Progress:
    """Return the numbers of a search that is about to start.

    Args:
        sweep: The sweep.
        files: Its files, with the trials of earlier starts.
        slots: Trials that run at once.
    """
    best, best_id = best_so_far(files)
    return Progress(
        total=sweep.trials,
        slots=slots,
        deadline=None if sweep.minutes is None else time.monotonic() + 60 * sweep.minutes,
        objective=find_objective(sweep.objective),
        done=num_ended(files),
        best=best,
        best_id=best_id,
    )
