"""Two starts of one sweep on a real cluster: one of them writes."""

import os
import signal
import time

import pytest

from segray import owner
from segray.process import process_status

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def content(sweep):
    """Names and sizes of all that trials wrote."""
    return {
        (trial.id, name): trial.folder.read_bytes(name)
        for trial in sweep.trials()
        for name in ("last.json", "best.json", "epochs.jsonl", "log.txt")
        if trial.folder.exists(name)
    }


def stop(running):
    """Stop the driver alone, as a terminal's Ctrl-Z or a debugger would."""
    os.kill(running.process.pid, signal.SIGSTOP)
    while not process_status(running.process.pid).is_stopped:
        time.sleep(0.01)


def take_over(running, monkeypatch):
    """Become the owner, from a machine that cannot see the driver's process."""
    monkeypatch.setattr(owner, "machine_id", lambda: "another")
    claim = owner.Claim(running.sweep.folder)
    claim.take(print)
    return claim


def test_a_stopped_driver_keeps_its_sweep_on_its_machine_and_goes_on(start):
    options = ["--trials", 1, "--epochs", 60]
    running = start(*options)
    trial = running.sweep.trial("0000")
    running.wait_for(lambda: len(trial.records()) >= 2)
    stop(running)
    for _ in range(2):
        code, output = start(*options, "--resume").end()
        assert code == 2, output
        assert f"process {running.process.pid} on " in output
        assert f"is stopped (SIGSTOP or Ctrl-Z): continue it (kill -CONT {running.process.pid})" in output
    os.kill(running.process.pid, signal.SIGCONT)
    code, output = running.end()
    assert code == 0, output
    assert [record.epoch for record in trial.records()] == list(range(1, 61))
    assert {record.attempt for record in trial.records()} == {1}


def test_a_driver_that_lost_its_sweep_while_it_was_silent_writes_no_more_and_ends_with_2(start, monkeypatch):
    running = start("--trials", 4, "--epochs", 1000, "--scheduler", "none")
    running.wait_for(lambda: sum(len(trial.records()) >= 2 for trial in running.sweep.trials()) == 2)
    stop(running)
    claim = take_over(running, monkeypatch)
    # A worker may be in the middle of an epoch's files.
    time.sleep(5)
    before = content(running.sweep), running.sweep.folder.read_bytes("state.json")
    os.kill(running.process.pid, signal.SIGCONT)
    code, output = running.end(timeout=120)
    assert code == 2, output
    assert "another start has taken over the sweep" in output
    assert "Traceback" not in output
    claim.check()
    assert (content(running.sweep), running.sweep.folder.read_bytes("state.json")) == before
    assert running.processes_left() == []


def test_of_two_resumes_in_the_same_moment_one_goes_on(start):
    options = ["--trials", 1, "--epochs", 20]
    first = start(*options)
    first.wait_for(lambda: len(first.sweep.trial("0000").records()) >= 2)
    first.kill()
    first.end()
    ended = [running.end() for running in [start(*options, "--resume") for _ in range(2)]]
    assert sorted(code for code, _ in ended) == [0, 2], ended
    [refused] = [output for code, output in ended if code == 2]
    assert "is still running, as process" in refused
    assert [record.epoch for record in first.sweep.trial("0000").records()] == list(range(1, 21))
