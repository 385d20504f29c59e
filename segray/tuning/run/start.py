"""run_sweep(): from what a person wants searched to the files of a finished sweep; judge_sweep(): how good it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from segray.cluster.connection import Connection
from segray.errors import ClusterError, SegrayError, StorageError
from segray.folder import location_below
from segray.output import lasting_output, print_error
from segray.owner import Claim, check_silent, is_owner_file
from segray.process import end_process, importing_much
from segray.storage import SweepFiles, open_sweep
from segray.tuning.callbacks import make_callbacks
from segray.tuning.sweep import Sweep, check_values

OUTAGE_SECONDS = 300.0
"""How long a sweep's driver and workers wait for storage that is out of reach."""


def run_sweep(sweep: Sweep, announce: Callable[[str], None] = print) -> SweepFiles:
    """Run a sweep and its repeats to their end, the search until its time is spent, or until it is interrupted.

    Args:
        sweep: What to run.
        announce: Told in lines what happens before the first trial.

    Returns:
        The sweep's files.

    Raises:
        SweepTakenError: Another start has taken the sweep over, because this one was silent.
        ClusterError: The Ray cluster failed. Where Ray itself failed on this machine, the process ends with exit code
            3 instead: no call to Ray returns any more.
        SegrayError: Something cannot work; nothing has been written then.
    """
    check_values(sweep)
    files = open_sweep(location_below(sweep.storage, sweep.name))
    _check_name(files, sweep.resume)
    for callback in make_callbacks(sweep.callbacks).values():
        callback.check(files)
    with Claim(files.folder) as claim, lasting_output(drops_all=True):
        owned = SweepFiles(replace(files.folder, guard=claim, patience_seconds=OUTAGE_SECONDS))
        if sweep.resume:
            _check_not_running(files, announce)
            claim.take(announce)
        with Connection(lambda error: _end_without_cluster(owned, claim, error)) as connection:
            # Ray takes as long to start as the models' libraries take to import.
            with importing_much():
                from segray.tuning.run.driver import drive

            drive(sweep, owned, connection, announce)
    return files


def _end_without_cluster(files: SweepFiles, claim: Claim, error: ClusterError) -> None:
    """Leave a sweep that can be resumed, say why, and end this process (called in a thread of its own)."""
    with suppress(SegrayError):
        state = files.state()
        if state is not None and state.status == "running":
            files.write_state(state.model_copy(update={"status": "interrupted"}))
        claim.release()
    print_error(error)
    end_process(error.exit_code)


def judge_sweep(sweep: Sweep, files: SweepFiles, announce: Callable[[str], None] = print) -> bool:
    """Judge the best trial of a sweep that came to its end on its test images, if its data has any.

    Whatever goes wrong is told, not raised, Ctrl-C included.

    Args:
        sweep: What has run; its data are read where this start found them.
        files: What ``run_sweep`` gave.
        announce: Told in lines what is judged, how far it is, and what went wrong.

    Returns:
        Whether there are new scores in test.json.
    """
    state = files.state()
    if state is None or state.status != "finished":
        return False
    from segray.inference.evaluate import judge_best

    data = sweep.base.data
    location = location_below(sweep.storage, sweep.name)
    return judge_best(files, location, announce, data_root=data.root, cache_dir=data.cache_dir)


def _check_name(files: SweepFiles, resume: bool) -> None:
    if files.exists() and not resume:
        raise StorageError(
            f"there is a sweep at {files.folder.path!r} already; continue it with --resume, or choose another --name"
        )
    if resume and not files.exists():
        raise StorageError(f"there is no sweep to resume at {files.folder.path!r}; leave --resume out to start it")
    if not resume:
        _check_writable(files)


def _check_not_running(files: SweepFiles, announce: Callable[[str], None]) -> None:
    """Refuse a sweep of an earlier version of segray, which knew no owners, if its driver is alive."""
    state = files.state()
    if state is not None and state.status == "running":
        check_silent(files.folder, "state.json", announce)


def _check_writable(files: SweepFiles) -> None:
    """Write a file where the sweep will lie, and delete it and all folders that were made for it."""
    if not all(map(is_owner_file, files.folder.names())):
        raise StorageError(f"{files.folder.path!r} holds files that are not a sweep's; choose another --name")
    made = [files.folder]
    while not made[-1].parent.exists():
        made.append(made[-1].parent)
    files.folder.write_bytes("writable", b"")
    files.folder.delete("writable")
    for folder in made:
        # Another sweep may have begun beside this one.
        if not folder.names():
            folder.delete()
