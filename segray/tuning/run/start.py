"""Start a sweep with ``run_sweep``, and judge its best trial with ``judge_sweep``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from segray.cluster.connection import Connection
from segray.cluster.ray_internals import kill_own_cluster
from segray.errors import ClusterError, SegrayError, StorageError
from segray.folder import location_below
from segray.output import lasting_output, print_error
from segray.owner import Claim, check_silent, is_owner_file
from segray.process import end_process, importing_much
from segray.storage import SweepFiles, open_sweep
from segray.tuning.callbacks import make_callbacks
from segray.tuning.sweep import Sweep, check_values
from segray.tuning.warm_start.earlier import check_sources

OUTAGE_SECONDS = 300.0
"""Time that a sweep's driver and workers wait for storage that is out of reach."""


def run_sweep(sweep: Sweep, announce: Callable[[str], None] = print) -> SweepFiles:
    """Run a sweep's search and repeats until they end, the search's time is spent, or someone interrupts them.

    Args:
        sweep: The sweep to run.
        announce: Called with each line on what happens before the first trial.

    Returns:
        The sweep's files.

    Raises:
        SweepTakenError: Another start has taken over the sweep, because this one was silent.
        ClusterError: The Ray cluster failed. Where Ray itself failed on this machine, the process ends with exit code
            3 instead: no call to Ray returns any more.
        SegrayError: Something cannot work; nothing has been written then.
    """
    check_values(sweep)
    files = open_sweep(location_below(sweep.storage, sweep.name))
    _check_name(files, sweep.resume)
    if not sweep.resume:
        check_sources(sweep.warm_start)
    # Before Ray and the data, so that a missing library or login is an error at once.
    for callback in make_callbacks(sweep.callbacks).values():
        callback.check(files)
    with Claim(files.folder) as claim, lasting_output(drops_all=True):
        # Every write first asks the claim: a driver that was silent for too long may have lost its sweep.
        owned = SweepFiles(replace(files.folder, guard=claim, patience_seconds=OUTAGE_SECONDS))
        # A first start takes the sweep with its first write, so that a start that cannot work leaves no file.
        if sweep.resume:
            _check_not_running(files, announce)
            claim.take(announce)
        with Connection(lambda error: _end_without_cluster(owned, claim, error)) as connection:
            # Ray takes as long to start as the models' libraries take to import.
            with importing_much():
                from segray.data.cache.fingerprint import forget_listings
                from segray.data.datasets.root import listing_folders_once
                from segray.tuning.run.driver import drive

            try:
                with listing_folders_once():
                    drive(sweep, owned, connection, announce)
            finally:
                # The next sweep of this process may find other images.
                forget_listings()
    return files


def _end_without_cluster(files: SweepFiles, claim: Claim, error: ClusterError) -> None:
    """Mark the sweep as interrupted, print why, and end this process; runs in its own thread."""
    with suppress(SegrayError):
        state = files.state()
        if state is not None and state.status == "running":
            files.write_state(state.model_copy(update={"status": "interrupted"}))
        claim.release()
    print_error(error)
    kill_own_cluster()
    end_process(error.exit_code)


def judge_sweep(sweep: Sweep, files: SweepFiles, announce: Callable[[str], None] = print) -> bool:
    """Judge the best trial of a finished sweep on the test images, if there are any.

    Errors and Ctrl-C are announced, not raised.

    Args:
        sweep: The sweep; its data is read where this start found it.
        files: The files that ``run_sweep`` returned.
        announce: Called with each line on what is judged, how far it is, and what went wrong.

    Returns:
        Whether test.json has new scores.
    """
    state = files.state()
    if state is None or state.status != "finished":
        return False
    from segray.inference.sweep_scores import judge_best

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
    """Refuse a sweep whose driver is alive and belongs to an earlier version of segray, which knew no owners."""
    state = files.state()
    if state is not None and state.status == "running":
        check_silent(files.folder, "state.json", announce)


def _check_writable(files: SweepFiles) -> None:
    """Write a file where the sweep will lie, then delete the file and the folders made for it."""
    if not all(map(is_owner_file, files.folder.names())):
        raise StorageError(f"{files.folder.path!r} holds files that are not a sweep's; choose another --name")
    made = [files.folder]
    while not made[-1].parent.exists():
        made.append(made[-1].parent)
    files.folder.write_bytes("writable", b"")
    files.folder.delete("writable")
    for folder in made:
        # Another sweep may have started beside this one.
        if not folder.names():
            folder.delete()
