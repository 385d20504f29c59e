"""The two phases of a sweep: the search, then repeats of its best trial. Each is one run of Ray Tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segray.clock import release_clock
from segray.cluster.resources import Plan
from segray.records import SweepStatus
from segray.storage import SweepFiles
from segray.tuning.callbacks import make_callbacks
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.preflight import Checked
from segray.tuning.run.controls import Controls
from segray.tuning.run.progress import View
from segray.tuning.run.repeats import run_repeats
from segray.tuning.run.search import run_search, search_progress
from segray.tuning.run.signals import ending_on_signals
from segray.tuning.run.supervisor import StateFile, Stop
from segray.tuning.run.tune_run import Shared
from segray.tuning.sweep import Sweep


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
    progress = search_progress(sweep, earlier, slots=search_plan.slots if search_plan else 0)
    state, stop = StateFile(files, progress), Stop()
    # Until both phases have ended: whatever raises leaves a sweep that a resume continues.
    status: SweepStatus = "interrupted"
    with View(progress) as view, ending_on_signals(stop, view):
        callbacks = Dispatcher(make_callbacks(sweep.callbacks), view.say)
        shared = Shared(sweep, checked, files, view, stop, state, callbacks, Controls(files, view, state))
        callbacks.sweep_begins(files.info(), files)
        try:
            if search_plan:
                run_search(shared, earlier, search_plan, progress)
            # A spent time budget is no reason to leave them out: --minutes is for the search alone.
            if not stop.asked:
                run_repeats(shared, nodes)
            if not stop.asked:
                status = "finished"
        finally:
            # A sweep may end on hold, and this process begin another one.
            release_clock()
            try:
                # Before the callbacks, which may take a minute; a full disk must not keep these from their end.
                state.write(status)
            finally:
                callbacks.sweep_ends(status)
