"""What Optuna is told, and what it is told again after a crash."""

import math
from pathlib import Path

import optuna
import pytest
from fake_sweep import empty_sweep, record, write_trial
from optuna.study import StudyDirection
from optuna.trial import TrialState

from segray.goals import DEFAULT_GOALS, Goals
from segray.objective import find_objective
from segray.records import Outcome
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import make_sampler
from segray.tuning.space import CappedSpace


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    trial.suggest_int("train.epochs", 2, 50)


FIRST = {"optim.lr": 5e-3, "train.epochs": 4}


@pytest.fixture
def sweep(tmp_path):
    return empty_sweep(tmp_path).files


def searcher(sweep, seed=0):
    database = Path(sweep.folder.path, f"driver-{seed}.db")
    return StudySearch(
        sweep, CappedSpace(space, 9), make_sampler("tpe", seed), [FIRST], database, sweep, DEFAULT_GOALS, max_epochs=9
    )


def result(epoch, miou, status=None):
    made = record(epoch, miou) if epoch else None
    return {"epoch": epoch, "record": made, "best_score": miou, "status": status}


def test_the_first_trial_is_the_given_one_and_epochs_are_capped(sweep):
    search = searcher(sweep)
    assert search.suggest("a") == {"trial": "0000", "values": FIRST}
    drawn = [search.suggest(str(number)) for number in range(20)]
    assert all(config["values"]["train.epochs"] <= 9 for config in drawn)
    assert [config["trial"] for config in drawn] == [f"{number:04d}" for number in range(1, 21)]


@pytest.mark.parametrize(
    ("status", "state", "value", "constraints"),
    [
        ("finished", TrialState.COMPLETE, 0.5, {}),
        (None, TrialState.PRUNED, 0.5, {}),
        ("diverged", TrialState.PRUNED, 0.5, {"infeasible": 1.0}),
        ("failed", TrialState.FAIL, None, {}),
        ("out_of_memory", TrialState.PRUNED, 0.5, {"infeasible": 1.0}),
    ],
)
def test_optuna_hears_how_a_trial_really_ended(sweep, status, state, value, constraints):
    search = searcher(sweep)
    search.suggest("a")
    search.on_trial_result("a", result(1, 0.4))
    search.on_trial_complete("a", result(2, 0.5, status))
    [trial] = search.study.trials
    assert (trial.state, trial.value, trial.constraints) == (state, value, constraints)
    assert trial.intermediate_values == {1: 0.4, 2: 0.5}


def test_a_failure_before_the_first_epoch_leaves_no_trial_running(sweep):
    search = searcher(sweep)
    search.suggest("a")
    search.on_trial_complete("a", result(0, math.nan, "failed"))
    search.suggest("b")
    search.on_trial_complete("b", None, error=True)
    assert [trial.state for trial in search.study.trials] == [TrialState.FAIL] * 2


def test_a_resume_gives_unfinished_trials_their_values_back_and_tells_the_others(sweep):
    search = searcher(sweep)
    first, second, third = (search.suggest(name) for name in "abc")
    sweep.trial("0000").append_record(record(1, 0.3))
    sweep.trial("0000").finish(Outcome(status="finished", epochs=1, best_score=0.3))
    sweep.trial("0001").append_record(record(1, 0.2))
    sweep.trial("0001").finish(Outcome(status="stopped", epochs=1, best_score=0.2))

    resumed = searcher(sweep, seed=1)
    states = [trial.state for trial in resumed.study.trials]
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    assert resumed.study.trials[1].intermediate_values == {1: 0.2}
    assert resumed.suggest("x") == third
    assert resumed.suggest("y")["trial"] == "0003"
    assert first["values"] == FIRST
    assert second["values"] != third["values"]


def test_an_epoch_that_a_dead_worker_could_not_hand_over_reaches_optuna(sweep):
    search = searcher(sweep)
    search.suggest("a")
    search.on_trial_result("a", result(1, 0.1))
    for epoch in (1, 2, 3):
        sweep.trial("0000").append_record(record(epoch, epoch / 10))
    search.on_trial_result("a", result(4, 0.4))
    assert search.study.trials[0].intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}


def test_the_last_epochs_of_a_trial_that_failed_reach_optuna(sweep):
    search = searcher(sweep)
    search.suggest("a")
    sweep.trial("0000").append_record(record(1, 0.1))
    search.on_trial_complete("a", result(0, math.nan, "failed"))
    assert search.study.trials[0].intermediate_values == {1: 0.1}


def test_epochs_in_order_are_not_read_back_from_the_files(sweep):
    search = searcher(sweep)
    search.suggest("a")
    sweep.trial("0000").append_record(record(7, 0.7))
    for epoch in (1, 2):
        search.on_trial_result("a", result(epoch, 0.1))
    assert search.study.trials[0].intermediate_values == {1: 0.1, 2: 0.1}


def test_the_study_in_the_sweeps_folder_opens_with_optuna(sweep):
    searcher(sweep).suggest("a")
    study = optuna.load_study(study_name=sweep.name, storage=f"sqlite:///{sweep.folder.path}/study.db")
    assert study.trials[0].params == FIRST


def test_optuna_minimises_a_loss(tmp_path):
    objective = find_objective("val_loss")
    sweep = empty_sweep(tmp_path, objectives=(objective,)).files
    search = StudySearch(
        sweep,
        CappedSpace(space, 9),
        make_sampler("tpe", 0),
        [],
        Path(tmp_path, "s.db"),
        sweep,
        Goals((objective,)),
        max_epochs=9,
    )
    search.suggest("a")
    made = record(1, 0.4, loss=0.7)
    search.on_trial_complete("a", {"record": made, "best_score": 0.7, "status": "finished"})
    assert search.study.direction == StudyDirection.MINIMIZE
    assert (search.study.best_value, search.study.trials[0].intermediate_values) == (0.7, {1: 0.7})


def test_a_resume_hears_the_objective_of_earlier_epochs(tmp_path):
    objective = find_objective("val_iou/car")
    fake = empty_sweep(tmp_path, objectives=(objective,))
    write_trial(fake, "0000", {"optim.lr": 1e-3, "train.epochs": 4}, [0.3, 0.4])
    database = Path(tmp_path, "s.db")
    search = StudySearch(
        fake.files,
        CappedSpace(space, 9),
        make_sampler("tpe", 0),
        [],
        database,
        fake.files,
        Goals((objective,)),
        max_epochs=9,
    )
    records = fake.files.trial("0000").records()
    [trial] = search.study.trials
    assert trial.intermediate_values == {item.epoch: item.scores["val_iou/car"] for item in records}
    assert trial.value == max(trial.intermediate_values.values())
