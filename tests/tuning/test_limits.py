"""Trials that take too long, on a Ray cluster of this machine."""

import re

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

HANG_ONCE = """
import os, sys, threading, time

def hang_the_next_step():
    while True:
        time.sleep(0.1)
        if "segray-watch" in [thread.name for thread in threading.enumerate()]:
            try:
                os.remove(os.environ["SEGRAY_TEST_HANG"])
            except OSError:
                continue
            sys.modules["segray.engine.steps"].SupervisedStep.__call__ = lambda *_: time.sleep(10**6)

if "SEGRAY_TEST_HANG" in os.environ:
    threading.Thread(target=hang_the_next_step, daemon=True).start()
"""
"""A sitecustomize.py: the first worker to see a file removes it, and its next training step never ends."""


def test_a_worker_that_hangs_is_ended_and_its_trial_goes_on(start, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HANG_ONCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=":")
    monkeypatch.setenv("SEGRAY_TEST_HANG", str(tmp_path / "hang"))
    running = start("--trials", 1, "--epochs", 60, "--silence-limit", 0.2)
    trial = running.sweep.trial("0000")
    running.wait_for(lambda: len(trial.records()) >= 2)
    (tmp_path / "hang").touch()
    code, output = running.end()
    assert code == 0, output
    assert [record.epoch for record in trial.records()] == list(range(1, 61))
    assert {record.attempt for record in trial.records()} == {1, 2}
    log = trial.folder.read_bytes("log.txt").decode()
    assert re.search(r"attempt 1 ended: .*hung: training on a batch took more than 0\.2 min", log), log
    assert "hang_the_next_step" not in log
    assert "<lambda>" in log, "the stack does not say where"
    assert running.processes_left() == []


def test_a_trial_that_takes_too_long_is_stopped_where_it_is(start):
    running = start("--trials", 2, "--epochs", 100000, "--trial-timeout", 0.1)
    code, output = running.end()
    assert code == 0, output
    outcomes = [trial.outcome() for trial in running.sweep.trials()]
    assert [outcome.status for outcome in outcomes] == ["stopped", "stopped"]
    assert all("stopped after 0.1 min (--trial-timeout)" in outcome.reason for outcome in outcomes)
    assert all(6 <= outcome.seconds < 60 for outcome in outcomes)
    assert all(trial.records() for trial in running.sweep.trials())
