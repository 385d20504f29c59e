"""Which repeats a sweep runs, and what they train."""

import fake_sweep
import pytest

from segray.config import RunConfig
from segray.records import Outcome
from segray.storage import Repeat
from segray.tuning.run.repeats import ListSearch, describe_repeats, repeat_values, wanted_repeats, without_outcome


def write_trial(sweep, trial_id, miou, status="finished", **values):
    trial = fake_sweep.write_trial(sweep, trial_id, values, [miou], status=None)
    trial.write_pointer("best", trial.pointer("last"))
    if status:
        trial.finish(Outcome(status=status))


@pytest.fixture
def sweep(tmp_path):
    """Trial 0001 is the best, of 7 epochs; the first one trained 5."""
    sweep = fake_sweep.empty_sweep(tmp_path)
    write_trial(sweep, "0000", 0.3, **{"train.epochs": 5})
    write_trial(sweep, "0001", 0.4, **{"train.epochs": 7, "optim.lr": 0.02})
    write_trial(sweep, "0002", 0.2, **{"train.epochs": 9})
    return sweep


def ids(files, num_seeds, seed=0):
    return [repeat.id for repeat in wanted_repeats(files, seed, num_seeds)]


def test_the_best_trial_and_the_first_are_repeated_as_long_as_the_best_seed_by_seed(sweep):
    assert ids(sweep.files, 2, seed=10) == [
        "0001-seed11-epochs7",
        "0000-seed11-epochs7",
        "0001-seed12-epochs7",
        "0000-seed12-epochs7",
    ]
    assert ids(sweep.files, 0) == []


def test_a_first_trial_that_is_the_best_is_repeated_alone(sweep):
    write_trial(sweep, "0000", 0.5, **{"train.epochs": 5})
    assert ids(sweep.files, 2) == ["0000-seed1-epochs5", "0000-seed2-epochs5"]


def test_a_first_trial_that_failed_is_not_repeated(sweep):
    write_trial(sweep, "0000", 0.3, status="diverged")
    assert ids(sweep.files, 1) == ["0001-seed1-epochs7"]


def test_a_trial_that_the_time_budget_cut_is_repeated_if_it_is_the_best(sweep):
    write_trial(sweep, "0003", 0.45, status=None, **{"train.epochs": 12})
    assert ids(sweep.files, 1) == ["0003-seed1-epochs12", "0000-seed1-epochs12"]


def test_a_sweep_without_a_model_has_nothing_to_repeat(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path)
    fake_sweep.write_trial(sweep, "0000", {}, [], status="failed")
    assert ids(sweep.files, 3) == []


def test_only_repeats_that_have_not_ended_are_run_and_a_failure_is_an_end(sweep):
    for repeat_id, status in (("0001-seed1-epochs7", "finished"), ("0000-seed1-epochs7", "failed")):
        fake_sweep.write_trial(sweep, repeat_id, {}, [0.1], status=status)
    fake_sweep.write_trial(sweep, "0001-seed2-epochs7", {}, [0.1], status=None)
    missing = without_outcome(sweep.files, wanted_repeats(sweep.files, 0, 2))
    assert [repeat.id for repeat in missing] == ["0001-seed2-epochs7", "0000-seed2-epochs7"]


def test_another_best_trial_has_repeats_of_its_own_and_so_has_the_first_at_its_epochs(sweep):
    fake_sweep.write_repeats(sweep, "0001", [0.4], epochs=7)
    fake_sweep.write_repeats(sweep, "0000", [0.3], epochs=7)
    assert without_outcome(sweep.files, wanted_repeats(sweep.files, 0, 1)) == []
    write_trial(sweep, "0003", 0.5, **{"train.epochs": 12})
    missing = without_outcome(sweep.files, wanted_repeats(sweep.files, 0, 1))
    assert [repeat.id for repeat in missing] == ["0003-seed1-epochs12", "0000-seed1-epochs12"]


def test_a_repeat_trains_its_trials_config_on_the_data_as_they_lie_now(sweep):
    here = RunConfig().with_values(sweep.info.base | {"data.root": "/here"})
    values = repeat_values(sweep.files, Repeat("0001", 3, 7), here)
    assert values == {"optim.lr": 0.02, "seed": 3, "train.epochs": 7}


@pytest.mark.parametrize(
    ("changes", "num_seeds", "num_missing", "line"),
    [
        ({}, 3, 6, "repeats: trial 0001 and the first trial, 3 seeds each, 7 epochs"),
        ({"recipe": "fcn"}, 1, 2, "repeats: trial 0001 and recipe fcn, 1 seed each, 7 epochs"),
        ({}, 3, 2, "repeats: trial 0001 and the first trial, 3 seeds each, 7 epochs; 4 of 6 have ended already"),
    ],
)
def test_what_is_about_to_be_repeated_is_one_line(sweep, changes, num_seeds, num_missing, line):
    sweep.files.folder.write_json("sweep.json", fake_sweep.info(**changes).model_dump(mode="json"))
    assert describe_repeats(sweep.files, wanted_repeats(sweep.files, 0, num_seeds), num_missing) == line


def test_the_line_says_why_one_trial_alone_is_repeated(sweep):
    write_trial(sweep, "0000", 0.5, **{"train.epochs": 1})
    alone = wanted_repeats(sweep.files, 0, 2)
    assert describe_repeats(sweep.files, alone, 2) == "repeats: the first trial, which is the best, 2 seeds, 1 epoch"
    write_trial(sweep, "0000", 0.3, status="failed")
    line = describe_repeats(sweep.files, wanted_repeats(sweep.files, 0, 2), 4)
    assert line.startswith("repeats: trial 0001 (the first trial failed, and is not repeated), 2 seeds, 7 epochs")


def test_the_searcher_hands_out_its_runs_once():
    search = ListSearch([("a", {"seed": 1}), ("b", {"seed": 2})])
    assert [search.suggest(str(number)) for number in range(3)] == [
        {"trial": "a", "values": {"seed": 1}},
        {"trial": "b", "values": {"seed": 2}},
        search.FINISHED,
    ]
