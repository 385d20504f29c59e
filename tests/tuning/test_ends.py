"""How a sweep on a real cluster ends when its output, its process group or its cluster goes away."""

import os
import signal
import time

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def records(running):
    return [record for trial in running.sweep.trials() for record in trial.records()]


@pytest.fixture
def running(start):
    """A sweep with trials in flight that would go on for long."""
    running = start("--trials", 4, "--epochs", 1000, "--scheduler", "none")
    running.wait_for(lambda: records(running))
    return running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_process_group_ends_it_cleanly_within_docker_stops_10_seconds(running, number):
    began = time.monotonic()
    # As `timeout` does it.
    os.kill(running.process.pid, number)
    os.killpg(running.process.pid, number)
    code, output = running.end(timeout=120)
    print(f"{number.name}: ended after {time.monotonic() - began:.1f} s")
    assert code == 130, output
    assert f"{number.name}: ending what runs at its next batch" in output
    assert "Traceback" not in output
    assert running.sweep.state().status == "interrupted"
    assert not any(trial.outcome() for trial in running.sweep.trials())
    assert all(trial.pointer("last") for trial in running.sweep.trials() if trial.records())
    assert running.processes_left() == []


@pytest.mark.parametrize("lines", [1, 4])
def test_a_reader_that_goes_away_and_a_terminal_that_closes_end_nothing(start, lines):
    running = start("--trials", 2, "--scheduler", "none")
    for _ in range(lines):
        running.process.stdout.readline()
    running.process.stdout.close()
    os.killpg(running.process.pid, signal.SIGHUP)
    assert running.process.wait(timeout=240) == 0
    assert running.sweep.state().status == "finished"
    assert {trial.outcome().status for trial in running.sweep.trials()} == {"finished"}
    assert running.sweep.folder.exists("report.html")
    assert running.processes_left() == []


@pytest.mark.parametrize(
    ("victim", "said"),
    [
        ("raylet/raylet", "its process on this machine, the raylet, has ended"),
        ("gcs/gcs_server", "has not answered for 30 s"),
        ("ray::Channel", "ActorDiedError"),
    ],
)
def test_a_cluster_that_fails_ends_with_3_and_the_way_to_resume(running, start, victim, said):
    [pid, *_] = running.processes(victim)
    os.kill(pid, signal.SIGKILL)
    code, output = running.end(timeout=240)
    assert code == 3, output
    assert "error: the Ray cluster failed: " in output
    assert said in output
    assert "the same command with --resume goes on from the last epochs" in output
    assert running.sweep.state().status == "interrupted"
    assert not any(trial.outcome() for trial in running.sweep.trials())
    assert running.processes_left() == []
