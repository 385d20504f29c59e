"""The first phase of a sweep: trials that the sampler proposes."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from segray import text
from segray.cluster.resources import Plan
from segray.storage import SweepFiles
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.run.progress import Progress, deadline_after
from segray.tuning.run.retries import Retries
from segray.tuning.run.search_controls import SearchControls
from segray.tuning.run.snapshot import num_ended
from segray.tuning.run.study import StudySearch
from segray.tuning.run.supervisor import best_so_far
from segray.tuning.run.tune_run import Shared, run_tune
from segray.tuning.samplers import samplers_by_trial
from segray.tuning.samplers.kind import PointSampler
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
    sampler_of = samplers_by_trial(sweep.chosen_sampler, sweep.seed, sweep.sampler_options)
    if isinstance(sampler := sampler_of(0), PointSampler):
        sampler.belief = checked.belief
    with tempfile.TemporaryDirectory(prefix="segray-") as scratch:
        searcher = StudySearch(
            files,
            checked.space,
            sampler,
            checked.first_trials,
            # On the driver's own disk: SQLite must not lie on a network filesystem.
            Path(scratch, "study.db"),
            earlier,
            sweep.goals,
            shared.view.say,
            max_epochs=checked.max_epochs,
            num_trials=None if sweep.trials is None else sweep.trials - progress.done,
            ends_flat=sweep.stop_when_flat,
            sampler_of=sampler_of,
        )
        rule = find_scheduler(sweep.chosen_scheduler).build(
            replace(sweep.stopping(checked.max_epochs), search=searcher)
        )
        scheduler = EarlyStopping(rule, files, earlier, checked.max_epochs, sweep.goals)
        if scheduler.pauses:
            searcher.follow(scheduler)
            progress.paused.update(scheduler.paused)
        controls = SearchControls(shared, searcher, progress, plan.workers_per_trial)
        run_tune(shared, plan, progress, Retries(searcher, files), scheduler, sweep.goals, controls)
        if not shared.stop.asked and not shared.stop.out_of_time:
            controls.give_up_paused()
    if searcher.is_flat and not shared.stop.asked and not shared.stop.out_of_time:
        shared.view.say(flat(progress))
        progress.total = progress.done
    if searcher.num_combinations is not None and not shared.stop.asked and not shared.stop.out_of_time:
        shared.view.say(exhausted(searcher.num_combinations, progress))
        progress.total = progress.done


def flat(progress: Progress) -> str:
    """Return a line on a search that ended because nothing more promised a gain."""
    of_total = f" of {progress.total}" if progress.total is not None else ""
    return (
        f"the search ends after {progress.done}{of_total} trials (--stop-when-flat): no config is expected to gain a "
        "tenth of the spread between trainings of one config"
    )


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
    before = files.state()
    return Progress(
        total=sweep.trials,
        slots=slots,
        deadline=deadline_after(sweep.minutes),
        objective=sweep.goals.main,
        trains_on_val=sweep.base.data.all_data,
        done=num_ended(files),
        paused={name for name in before.paused if files.trial(name).outcome() is None} if before else set(),
        best=best,
        best_id=best_id,
    )
