"""What Optuna and ASHA are told, and what they are told again after a crash."""

import math
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from fake_sweep import empty_sweep, record, write_trial
from optuna.study import StudyDirection
from optuna.trial import TrialState

from segray.objective import MIOU, find_objective
from segray.records import Outcome
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import make_sampler
from segray.tuning.schedulers import SCHEDULERS, StoppingSettings, find_scheduler
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
    return StudySearch(sweep, CappedSpace(space, 9), make_sampler("tpe", seed), [FIRST], database, sweep, MIOU)


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
    ("status", "state", "value"),
    [
        ("finished", TrialState.COMPLETE, 0.5),
        (None, TrialState.PRUNED, 0.5),
        ("diverged", TrialState.FAIL, None),
        ("failed", TrialState.FAIL, None),
        ("out_of_memory", TrialState.FAIL, None),
    ],
)
def test_optuna_hears_how_a_trial_really_ended(sweep, status, state, value):
    search = searcher(sweep)
    search.suggest("a")
    search.on_trial_result("a", result(1, 0.4))
    search.on_trial_complete("a", result(2, 0.5, status))
    [trial] = search.study.trials
    assert (trial.state, trial.value) == (state, value)
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


class Trial:
    def __init__(self, trial_id):
        self.trial_id = trial_id
        self.config = {"trial": trial_id}


def decide(scheduler, trial_id, epoch, miou):
    trial = Trial(trial_id)
    scheduler.on_trial_add(None, trial)
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "best_score": miou})


def scheduler_of(kind, sweep, max_epochs=9):
    settings = StoppingSettings(max_epochs=max_epochs, grace_epochs=1, reduction_factor=3)
    return EarlyStopping(find_scheduler(kind).build(settings), sweep, sweep)


def asha(sweep):
    return scheduler_of("asha", sweep)


def test_asha_stops_the_weak_but_never_the_baseline(sweep):
    scheduler = asha(sweep)
    assert decide(scheduler, "0001", 1, 0.5) == "CONTINUE"
    assert decide(scheduler, "0002", 1, 0.4) == "STOP"
    assert decide(scheduler, "0000", 1, 0.1) == "CONTINUE"


def test_rungs_are_rebuilt_from_the_files_of_trials_that_ended(sweep):
    strong = sweep.trial("0001")
    strong.append_record(record(1, 0.5))
    strong.finish(Outcome(status="finished"))
    scheduler = asha(sweep)
    assert decide(scheduler, "0003", 1, 0.4) == "STOP"
    assert decide(scheduler, "0004", 1, 0.6) == "CONTINUE"


def test_a_trial_that_goes_on_keeps_its_place_in_every_rung(sweep):
    unfinished = sweep.trial("0002")
    for epoch, miou in enumerate((0.1, 0.2, 0.3, 0.4), start=1):
        unfinished.append_record(record(epoch, miou))
    scheduler = asha(sweep)
    decide(scheduler, "0002", 5, 0.9)
    assert decide(scheduler, "0003", 1, 0.2) == "CONTINUE", "compared with epoch 1, not with epoch 5"
    assert decide(scheduler, "0004", 1, 0.05) == "STOP"


def test_an_unfinished_trial_counts_in_its_rungs_before_it_has_a_slot(sweep):
    sweep.trial("0002").append_record(record(1, 0.5))
    assert decide(asha(sweep), "0003", 1, 0.4) == "STOP"


def test_an_unfinished_trial_counts_once_in_a_rung(sweep):
    sweep.trial("0002").append_record(record(1, 0.5))
    scheduler = asha(sweep)
    decide(scheduler, "0002", 2, 0.6)
    [rung] = [recorded for epoch, recorded in scheduler._rule._brackets[0]._rungs if epoch == 1]
    assert rung == {"0002": 0.5}


def test_an_epoch_that_a_dead_worker_could_not_hand_over_reaches_its_rung(sweep):
    scheduler = asha(sweep)
    decide(scheduler, "0001", 1, 0.5)
    weak = Trial("0002")
    scheduler.on_trial_add(None, weak)
    sweep.trial("0002").append_record(record(1, 0.2))
    assert scheduler.on_trial_result(None, weak, {"epoch": 2, "best_score": 0.9}) == "STOP"
    assert decide(scheduler, "0003", 1, 0.3) == "STOP", "compared with 0.5 and 0.2"


def test_the_epochs_of_a_trial_that_failed_count_in_its_rungs(sweep):
    scheduler = asha(sweep)
    failed = Trial("0001")
    scheduler.on_trial_add(None, failed)
    sweep.trial("0001").append_record(record(1, 0.5))
    scheduler.on_trial_complete(None, failed, {"epoch": 0, "best_score": math.nan})
    assert decide(scheduler, "0002", 1, 0.4) == "STOP"


def test_no_scheduler_stops_nobody(sweep):
    scheduler = scheduler_of("none", sweep)
    assert decide(scheduler, "0001", 1, 0.5) == "CONTINUE"
    assert decide(scheduler, "0002", 1, 0.1) == "CONTINUE"


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_trial_whose_slot_is_starting_takes_no_other_trials_slot(sweep, kind):
    scheduler = scheduler_of(kind, sweep)
    tune = SimpleNamespace(get_trials=lambda: [SimpleNamespace(status="PENDING")])
    assert scheduler.choose_trial_to_run(tune) is None


def test_median_stops_a_trial_that_is_below_the_median_of_three_others(sweep):
    scheduler = scheduler_of("median", sweep)
    for trial_id, miou in (("0000", 0.5), ("0001", 0.4), ("0002", 0.6)):
        assert decide(scheduler, trial_id, 1, miou) == "CONTINUE"
    assert decide(scheduler, "0003", 1, 0.45) == "STOP"
    assert decide(scheduler, "0004", 1, 0.55) == "CONTINUE"


def test_median_counts_the_trials_of_earlier_starts_and_neither_pauses_nor_counts_failures(sweep):
    for trial_id, miou in (("0000", 0.5), ("0001", 0.4), ("0002", 0.6)):
        sweep.trial(trial_id).append_record(record(1, miou))
    scheduler = scheduler_of("median", sweep)
    failed = Trial("0003")
    scheduler.on_trial_add(None, failed)
    scheduler.on_trial_complete(None, failed, {"epoch": 0, "best_score": math.nan})
    assert decide(scheduler, "0004", 1, 0.45) == "STOP"


def test_hyperband_gives_each_trial_one_bracket_for_good_and_lets_slow_starters_live(sweep):
    rule = scheduler_of("hyperband", sweep, max_epochs=9)._rule
    numbers = [f"{number:04d}" for number in range(300)]
    brackets = [rule.bracket(number) for number in numbers]
    assert sorted(set(brackets)) == [0, 1, 2]
    assert brackets == [scheduler_of("hyperband", sweep)._rule.bracket(number) for number in numbers]
    assert brackets.count(0) > brackets.count(1) > brackets.count(2) > 30, "cheap trials are many"
    for bracket, first_rung in enumerate((1, 3, 9)):
        scheduler = scheduler_of("hyperband", sweep)
        strong, weak = [f"{number:04d}" for number in range(1, 300) if brackets[number] == bracket][:2]
        for epoch in range(1, 10):
            decide(scheduler, strong, epoch, 0.9)
        stopped = next(epoch for epoch in range(1, 10) if decide(scheduler, weak, epoch, 0.1) == "STOP")
        assert stopped == first_rung


def test_hyperband_of_one_epoch_has_one_bracket(sweep):
    rule = scheduler_of("hyperband", sweep, max_epochs=1)._rule
    assert {rule.bracket(f"{number:04d}") for number in range(50)} == {0}


def test_every_scheduler_that_stops_says_why_and_none_never_does():
    assert all(SCHEDULERS[name].verdict for name in SCHEDULERS if name != "none")
    assert not SCHEDULERS["none"].verdict


def test_with_a_loss_as_objective_optuna_minimises_it_and_asha_stops_the_highest(tmp_path):
    objective = find_objective("val_loss")
    sweep = empty_sweep(tmp_path, objectives=(objective,)).files
    search = StudySearch(
        sweep, CappedSpace(space, 9), make_sampler("tpe", 0), [], Path(tmp_path, "s.db"), sweep, objective
    )
    search.suggest("a")
    made = record(1, 0.4, loss=0.7)
    search.on_trial_complete("a", {"record": made, "best_score": 0.7, "status": "finished"})
    assert search.study.direction == StudyDirection.MINIMIZE
    assert (search.study.best_value, search.study.trials[0].intermediate_values) == (0.7, {1: 0.7})

    for kind in ("asha", "hyperband", "median"):
        settings = StoppingSettings(max_epochs=3, grace_epochs=1, reduction_factor=3, objective=objective)
        scheduler = EarlyStopping(find_scheduler(kind).build(settings), sweep, sweep)
        losses = {"0000": 0.5, "0001": 0.1, "0002": 0.2, "0003": 0.9}
        first = {trial: decide(scheduler, trial, 1, loss) for trial, loss in losses.items()}
        going = [trial for trial in losses if first[trial] == "CONTINUE"]
        second = {trial: decide(scheduler, trial, 2, losses[trial]) for trial in going}
        assert (first | second)["0003"] == "STOP", kind
        assert (first | second)["0001"] == "CONTINUE", kind


def test_a_resume_hears_the_objective_of_earlier_epochs(tmp_path):
    objective = find_objective("val_iou/car")
    fake = empty_sweep(tmp_path, objectives=(objective,))
    write_trial(fake, "0000", {"optim.lr": 1e-3, "train.epochs": 4}, [0.3, 0.4])
    database = Path(tmp_path, "s.db")
    search = StudySearch(fake.files, CappedSpace(space, 9), make_sampler("tpe", 0), [], database, fake.files, objective)
    records = fake.files.trial("0000").records()
    [trial] = search.study.trials
    assert trial.intermediate_values == {item.epoch: item.scores["val_iou/car"] for item in records}
    assert trial.value == max(trial.intermediate_values.values())
