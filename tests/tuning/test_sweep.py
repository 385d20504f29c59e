"""Whole sweeps on a Ray cluster of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from segray.engine.checkpoint import load_checkpoint

pytestmark = pytest.mark.ray


def outcomes(sweep):
    return {trial.id: trial.outcome() for trial in sweep.trials() if trial.outcome()}


def repeats(sweep):
    return {repeat: files.outcome() for repeat, files in sweep.repeats().items()}


def test_a_sweep_leaves_records_models_a_study_repeats_and_a_report(ended):
    running, code, output = ended
    assert code == 0, output
    assert "2 trials at once" in output
    assert {outcome.status for outcome in outcomes(running.sweep).values()} == {"finished"}
    assert len(outcomes(running.sweep)) == 4
    for trial in running.sweep.trials():
        assert [record.epoch for record in trial.records()] == [1, 2, 3]
        assert sum(name.endswith("_prediction.png") for name in trial.folder.names("samples")) == 4
        _, config, _ = load_checkpoint(trial.folder.child(trial.pointer("best").checkpoint))
        assert config.model.encoder == "tu-test_resnet"
        assert "epoch 3/3" in (trial.folder.read_bytes("log.txt")).decode()
    first = running.sweep.trial("0000").config()
    assert (first["loss"]["name"], first["optim"]["lr"]) == ("dice", 1e-3)
    assert Path(running.sweep.folder.path, "report.html").stat().st_size > 100_000
    assert running.sweep.state().status == "finished"
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{running.sweep.folder.path}/study.db")
    best = max(outcome.best_score for outcome in outcomes(running.sweep).values())
    assert study.best_value == pytest.approx(best)
    best = running.sweep.best()[0]
    assert {(repeat.trial, repeat.seed, repeat.epochs) for repeat in repeats(running.sweep)} == {
        (best.id, 1, 3),
        ("0000", 1, 3),
    }
    assert {outcome.status for outcome in repeats(running.sweep).values()} == {"finished"}
    assert running.processes_left() == []


def test_early_stopping_prunes_and_two_ddp_workers_agree(start):
    options = ["--grace-epochs", 1, "--workers-per-trial", 2, "--cpus-per-worker", 0.5]
    running = start("--trials", 6, "--epochs", 4, *options)
    code, output = running.end()
    assert code == 0, output
    ended = outcomes(running.sweep)
    assert len(ended) == 6
    assert ended["0000"].status == "finished", "the baseline is never stopped early"
    stopped = {trial_id for trial_id, outcome in ended.items() if outcome.status == "stopped"}
    assert stopped, "ASHA stopped nobody"
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{running.sweep.folder.path}/study.db")
    pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert {f"{trial.number:04d}" for trial in pruned} == stopped
    assert all(trial.intermediate_values for trial in pruned)


@pytest.mark.slow
def test_a_killed_worker_costs_its_trial_at_most_the_epoch_it_was_in(start):
    running = start("--trials", 1, "--epochs", 40)
    trial = running.sweep.trial("0000")
    running.wait_for(lambda: len(trial.records()) >= 3)
    epochs_before = len(trial.records())
    [worker] = running.processes("ray::RayTrainWorker")
    os.kill(worker, signal.SIGKILL)
    code, output = running.end()
    assert code == 0, output
    records = trial.records()
    assert [record.epoch for record in records] == list(range(1, 41))
    first_of_second_attempt = next(record.epoch for record in records if record.attempt == 2)
    assert first_of_second_attempt > epochs_before
    assert trial.outcome().status == "finished"


@pytest.mark.slow
def test_a_killed_rank_of_two_gives_its_trial_another_attempt(start):
    running = start("--trials", 1, "--epochs", 40, "--workers-per-trial", 2, "--cpus-per-worker", 0.5)
    trial = running.sweep.trial("0000")
    running.wait_for(lambda: len(trial.records()) >= 3)
    os.kill(max(running.processes("ray::RayTrainWorker")), signal.SIGKILL)
    code, output = running.end()
    assert code == 0, output
    assert [record.epoch for record in trial.records()] == list(range(1, 41))
    assert {record.attempt for record in trial.records()} == {1, 2}
    assert trial.outcome().status == "finished"


@pytest.mark.slow
def test_a_resume_refuses_what_would_make_its_trials_incomparable(start, ended):
    running, code, _ = ended
    assert code == 0
    options = ["--trials", 5, "--scheduler", "none", "--repeats", 1, "--resume"]
    code, output = start(*options, "--epochs", 9, storage=running.storage).end()
    assert code == 2
    assert "--epochs: was 3, now 9" in output


@pytest.mark.slow
def test_a_resume_of_an_ended_search_adds_the_repeats_that_are_missing(start):
    running = start("--trials", 1, "--repeats", 1)
    assert running.end()[0] == 0
    [first] = repeats(running.sweep).values()
    code, output = start("--trials", 1, "--repeats", 2, "--resume").end()
    assert code == 0, output
    assert "repeats: recipe tiny_recipe, which is the best, 2 seeds, 3 epochs; 1 of 2 have ended already" in output
    assert "Repeated with 2 seeds, 3 epochs: trial 0000" in output
    again, second = repeats(running.sweep).values()
    assert again == first, "a repeat that had ended was run again"
    assert second.status == "finished"


@pytest.mark.slow
def test_a_repeat_that_ctrl_c_cut_goes_on_where_it_was(start):
    options = ["--trials", 1, "--epochs", 40, "--repeats", 1]
    running = start(*options)
    running.wait_for(lambda: any(len(files.records()) >= 2 for files in running.sweep.repeats().values()))
    running.interrupt()
    code, output = running.end(timeout=240)
    assert code == 130, output
    searched = outcomes(running.sweep)
    [repeat] = running.sweep.repeats().values()
    assert repeat.outcome() is None
    code, output = start(*options, "--resume").end()
    assert code == 0, output
    assert outcomes(running.sweep) == searched, "the search was taken up again"
    assert repeat.outcome().status == "finished"
    assert [record.epoch for record in repeat.records()] == list(range(1, 41))
    assert {record.attempt for record in repeat.records()} == {1, 2}


def test_a_sweep_killed_with_sigkill_is_resumed_where_it_was(start):
    options = ["--epochs", 30, "--scheduler", "none", "--cpus-per-worker", 2]
    running = start("--trials", 2, *options)
    running.wait_for(lambda: outcomes(running.sweep) and len(running.sweep.trials()) == 2)
    unfinished = [trial for trial in running.sweep.trials() if trial.outcome() is None]
    running.wait_for(lambda: all(len(trial.records()) >= 2 for trial in unfinished))
    running.kill()
    running.end()
    finished = outcomes(running.sweep)
    epochs = {trial.id: len(trial.records()) for trial in unfinished}
    shown = subprocess.run(
        [sys.executable, "-m", "segray", "results", running.sweep.folder.path, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(shown.stdout)["trials"]) == 2

    resumed = start("--trials", 3, *options, "--resume")
    code, output = resumed.end()
    assert code == 0, output
    ended = outcomes(resumed.sweep)
    assert len(ended) == 3
    assert {trial_id: ended[trial_id] for trial_id in finished} == finished, "finished trials were run again"
    for trial in unfinished:
        attempts = [record.attempt for record in trial.records()]
        assert attempts.count(1) >= epochs[trial.id]
        assert 2 in attempts or trial.id in finished
        assert [record.epoch for record in trial.records()] == list(range(1, 31))
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{resumed.sweep.folder.path}/study.db")
    assert len(study.trials) == 3
    assert {trial.state for trial in study.trials} == {optuna.trial.TrialState.COMPLETE}


def test_ctrl_c_ends_cleanly_and_leaves_no_process(start):
    running = start("--trials", 4, "--epochs", 1000, "--cpus-per-worker", 2)
    running.wait_for(lambda: any(trial.records() for trial in running.sweep.trials()))
    running.interrupt()
    code, output = running.end(timeout=240)
    assert code == 130, output
    assert "Traceback" not in output
    assert running.sweep.state().status == "interrupted"
    assert outcomes(running.sweep) == {}
    assert all(trial.pointer("last") for trial in running.sweep.trials() if trial.records())
    assert running.processes_left() == []


@pytest.mark.slow
def test_a_callback_writes_a_run_for_every_trial_and_repeat_of_a_sweep(start):
    running = start("--trials", 2, "--epochs", 2, "--repeats", 1, "--callback", "tensorboard")
    code, output = running.end()
    assert code == 0, output
    assert "callback tensorboard" not in output
    root = Path(running.sweep.folder.path, "tensorboard")
    trials = running.sweep.trials_and_repeats()
    assert len(trials) >= 3
    for trial in trials:
        [events] = Path(root, trial.id).iterdir()
        content = events.read_bytes()
        assert content.count(b"val/miou") == len(trial.records())
        assert content.count(b"samples/") == 4
        assert b"outcome/text_summary" in content
    assert running.processes_left() == []


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(start):
    running = start("--trials", 4, "--epochs", 1000)
    running.wait_for(lambda: any(trial.records() for trial in running.sweep.trials()))
    running.interrupt()
    assert "again to end at once" in running.read_until("again to end at once")
    time.sleep(1.5)
    running.interrupt()
    code, output = running.end(timeout=120)
    assert code == 130, output
    assert "Traceback" not in output
    assert running.processes_left() == []


@pytest.mark.slow
def test_a_time_budget_ends_the_sweep(start):
    running = start("--minutes", 1.2, "--trials", 1, "--epochs", 100000)
    code, output = running.end()
    assert running.sweep.state().status == "finished"
    assert code == 0, output
    assert outcomes(running.sweep) == {}
    assert running.sweep.trial("0000").records()


def wait_for_processes(running, name, number):
    """Ids of a number of processes of a name; an actor has another name between two calls."""
    found = []

    def are_there():
        found[:] = running.processes(name)
        return len(found) == number

    running.wait_for(are_there)
    return found


def kill_after_an_epoch(running, trial, name):
    """Kill the process of a name when the trial has completed another epoch, and wait until there is a new one."""
    num_epochs = len(trial.records())
    running.wait_for(lambda: len(trial.records()) > num_epochs)
    [process] = wait_for_processes(running, name, 1)
    os.kill(process, signal.SIGKILL)
    running.wait_for(lambda: running.processes(name) not in ([], [process]))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_controllers_cost_their_trial_at_most_the_epoch_it_was_in_however_many(start):
    running = start("--trials", 1, "--epochs", 60)
    trial = running.sweep.trial("0000")
    for _ in range(4):
        kill_after_an_epoch(running, trial, "ray::TrainController")
    code, output = running.end(timeout=600)
    assert code == 0, output
    assert [record.epoch for record in trial.records()] == list(range(1, 61))
    assert max(record.attempt for record in trial.records()) == 5
    assert trial.outcome().status == "finished"
    assert "attempt 1 ended: Train's controller ended without a word" in trial.folder.read_bytes("log.txt").decode()
    assert running.processes_left() == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_slots_cost_their_trial_at_most_the_epoch_it_was_in_however_many(start):
    running = start("--trials", 1, "--epochs", 60)
    trial = running.sweep.trial("0000")
    for _ in range(4):
        kill_after_an_epoch(running, trial, "ray::_Inner")
    code, output = running.end(timeout=600)
    assert code == 0, output
    assert [record.epoch for record in trial.records()] == list(range(1, 61))
    assert trial.outcome().status == "finished"
    assert running.processes_left() == []


@pytest.mark.slow
def test_a_slot_that_died_comes_back_however_short_the_trials_of_the_others_are(start):
    running = start("--trials", 40, "--epochs", 1, "--cpus-per-worker", os.cpu_count() / 2)
    slots = set(wait_for_processes(running, "ray::_Inner", 2))
    os.kill(max(slots), signal.SIGKILL)
    seen = set()

    def watch():
        seen.update(running.processes("ray::_Inner"), running.processes("ray::Slot"))
        return len(outcomes(running.sweep)) == 40

    running.wait_for(watch)
    code, output = running.end()
    assert code == 0, output
    assert len(seen - slots) == 1, "each trial asked for a slot of its own"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_trial_whose_workers_die_without_an_epoch_fails_with_the_reason_and_a_retry_finishes_it(start):
    running = start("--trials", 1, "--epochs", 1000)
    trial = running.sweep.trial("0000")
    running.wait_for(lambda: len(trial.records()) >= 2)
    dead = set()
    while trial.outcome() is None and running.process.poll() is None:
        workers = set(running.processes("ray::RayTrainWorker")) - dead
        if workers and trial.folder.read_bytes("log.txt").decode().count("on cpu, 1 workers") > len(dead):
            dead |= workers
            os.kill(workers.pop(), signal.SIGSEGV)
        time.sleep(0.05)
    code, output = running.end()
    assert code == 1, output
    failed, last = trial.outcome(), trial.pointer("last")
    assert failed.status == "failed"
    assert "before an epoch was done: the worker ended with SIGSEGV (signal 11)" in failed.reason
    assert failed.seconds > last.seconds

    resumed = start("--trials", 1, "--epochs", 1000, "--resume", "--retry-failed")
    resumed.wait_for(lambda: len(trial.records()) > last.record.epoch)
    resumed.interrupt()
    code, output = resumed.end(timeout=600)
    assert code == 130, output
    assert "failed before, taken up again: 0000" in output
    assert [record.epoch for record in trial.records()] == list(range(1, len(trial.records()) + 1))
    assert trial.records()[last.record.epoch].attempt == last.record.attempt + 1
    assert failed.reason in trial.folder.read_bytes("log.txt").decode()
