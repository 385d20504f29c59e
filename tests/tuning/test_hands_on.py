"""Persons who add a point, stop trials, pause and continue a sweep on a Ray cluster of this machine."""

import os
import subprocess
import sys
import time

import optuna
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

POINT = {"loss.name": "cross_entropy", "optim.lr": 0.00123}


@pytest.fixture
def asked():
    """Run a command of segray; return its exit code and what it said."""

    def ask(command, running, *arguments):
        ended = subprocess.run(
            [sys.executable, "-m", "segray", command, running.sweep.folder.path, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        return ended.returncode, ended.stdout + ended.stderr

    return ask


def values(point):
    return [f"{key}={value}" for key, value in point.items()]


def num_records(running):
    return sum(len(trial.records()) for trial in running.sweep.trials())


def stop(asked, running, trial_id):
    """Stop a trial that has an epoch; return its outcome and the seconds that its end took."""
    trial = running.sweep.trial(trial_id)
    running.wait_for(lambda: len(trial.records()) >= 2)
    code, said = asked("stop", running, trial_id)
    answered = time.monotonic()
    assert code == 0, said
    assert f"trial {trial_id} ends at its next batch; its best checkpoint is kept" in said
    running.wait_for(trial.outcome, timeout=30)
    return trial.outcome(), time.monotonic() - answered


def hold_for(asked, running, seconds):
    """Pause for a while in which no trial may train on, then continue and wait until all train on."""
    code, said = asked("pause", running)
    assert code == 0, said
    # Workers look every half second; an epoch that was at its end may still be written.
    time.sleep(2)
    before = num_records(running)
    assert running.sweep.state().held_since is not None
    assert asked("pause", running)[0] == 2
    assert "running, on hold since 20" in asked("results", running)[1]
    time.sleep(seconds)
    assert num_records(running) == before
    code, said = asked("continue", running)
    assert code == 0, said
    running.wait_for(lambda: num_records(running) > before + 3, timeout=60)
    assert running.sweep.state().held_since is None


def test_persons_add_a_point_stop_trials_and_put_a_sweep_on_hold(start, asked):
    running = start("--trials", 4, "--epochs", 100000, "--scheduler", "none", "--repeats", 0)
    trials = [running.sweep.trial(name) for name in ("0000", "0001", "0002", "0003")]
    running.wait_for(lambda: len(trials[1].records()) >= 2)
    hold_for(asked, running, seconds=5)

    code, said = asked("enqueue", running, *values(POINT))
    assert code == 0, said
    assert "the next new trial has these values" in said
    code, said = asked("enqueue", running, "optim.lr=7")
    assert code == 2
    assert "enqueue: optim.lr must be number from 0.0001 to 0.01, log scale, but got 7" in said

    outcome, seconds = stop(asked, running, "0001")
    print(f"a trial ended {seconds:.1f} s after the answer")
    assert seconds < 15
    assert outcome.status == "stopped"
    assert outcome.reason.startswith("stopped by request of ")
    assert outcome.epochs >= 2
    assert trials[1].folder.exists(trials[1].pointer("best").checkpoint)
    assert "stopped by request of " in trials[1].folder.read_bytes("log.txt").decode()
    code, said = asked("stop", running, "0001")
    assert code == 2
    assert "trial 0001 has ended already, as stopped" in said

    running.wait_for(trials[2].records)
    assert trials[2].values() == POINT
    for name in ("0000", "0002", "0003"):
        assert stop(asked, running, name)[0].status == "stopped"
    code, output = running.end(timeout=120)
    assert code == 0, output
    assert "by request of " in output
    assert {record.attempt for trial in trials for record in trial.records()} == {1}
    assert [name for name in running.sweep.folder.names("requests") if not name.endswith(".answer.json")] == []
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{running.sweep.folder.path}/study.db")
    assert {trial.state for trial in study.trials} == {optuna.trial.TrialState.PRUNED}
    assert asked("stop", running, "0000")[0] == 2
    assert running.processes_left() == []


def test_a_hold_of_two_ranks_is_no_hang_and_an_accepted_point_survives_the_driver(start, asked):
    options = ["--trials", 2, "--epochs", 100000, "--scheduler", "none", "--repeats", 0]
    options += ["--workers-per-trial", 2, "--cpus-per-worker", 1, "--silence-limit", 0.2]
    running = start(*options)
    trial = running.sweep.trial("0000")
    running.wait_for(lambda: len(trial.records()) >= 2)
    hold_for(asked, running, seconds=20)
    assert {record.attempt for record in trial.records()} == {1}
    assert max(record.epoch_seconds for record in trial.records()) < 20

    code, said = asked("enqueue", running, *values(POINT))
    assert code == 0, said
    assert asked("pause", running)[0] == 0
    running.kill()
    running.process.wait()

    resumed = start(*options, "--resume")
    before = len(trial.records())
    resumed.wait_for(lambda: len(trial.records()) > before)
    assert stop(asked, resumed, "0000")[0].status == "stopped"
    second = resumed.sweep.trial("0001")
    resumed.wait_for(second.records)
    assert second.values() == POINT
    assert stop(asked, resumed, "0001")[0].status == "stopped"
    code, output = resumed.end(timeout=120)
    assert code == 0, output
