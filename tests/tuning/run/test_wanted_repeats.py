"""Which repeats a sweep wants, without and with a race, and what they train."""

import fake_sweep
import pytest

from segray.config import RunConfig
from segray.records import Outcome
from segray.storage import Repeat
from segray.tuning.run.wanted_repeats import Rules, repeat_values, standing, without_outcome


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


def wanted(files, num_seeds, seed=0, top=0, num_at_once=1):
    return standing(files, Rules(seed=seed, num_seeds=num_seeds, top=top), num_at_once=num_at_once).wanted


def ids(files, num_seeds, seed=0):
    return [repeat.id for repeat in wanted(files, num_seeds, seed)]


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
    missing = without_outcome(sweep.files, wanted(sweep.files, 2))
    assert [repeat.id for repeat in missing] == ["0001-seed2-epochs7", "0000-seed2-epochs7"]


def test_another_best_trial_has_repeats_of_its_own_and_so_has_the_first_at_its_epochs(sweep):
    fake_sweep.write_repeats(sweep, "0001", [0.4], epochs=7)
    fake_sweep.write_repeats(sweep, "0000", [0.3], epochs=7)
    assert without_outcome(sweep.files, wanted(sweep.files, 1)) == []
    write_trial(sweep, "0003", 0.5, **{"train.epochs": 12})
    missing = without_outcome(sweep.files, wanted(sweep.files, 1))
    assert [repeat.id for repeat in missing] == ["0003-seed1-epochs12", "0000-seed1-epochs12"]


def test_a_repeat_trains_its_trials_config_on_the_data_as_they_lie_now(sweep):
    here = RunConfig().with_values(sweep.info.base | {"data.root": "/here"})
    values = repeat_values(sweep.files, Repeat("0001", 3, 7), here)
    assert values == {"optim.lr": 0.02, "seed": 3, "train.epochs": 7}


NOISE = {1: 0.000, 2: 0.004, 3: -0.003, 4: 0.002, 5: 0.001}


def end(sweep, trial, seed, miou, status="finished", epochs=7):
    fake_sweep.write_trial(sweep, Repeat(trial, seed, epochs).id, {}, [miou], status=status)


def end_rounds(sweep, scores, seeds, **epochs):
    """End the repeats of some trials with these seeds, each at its score and a noise of its own."""
    for number, (trial, score) in enumerate(scores.items()):
        for seed in seeds:
            end(sweep, trial, seed, score + NOISE[(seed + number) % 5 + 1], epochs=epochs.get(f"of_{trial}", 7))


@pytest.fixture
def raced(sweep):
    """0001, 0003 and 0004 are the best, of 7 epochs."""
    write_trial(sweep, "0003", 0.39, **{"train.epochs": 7})
    write_trial(sweep, "0004", 0.38, **{"train.epochs": 7})
    return sweep


def race(sweep, num_seeds=5, top=3, **options):
    return standing(sweep.files, Rules(seed=0, num_seeds=num_seeds, top=top), **options)


def by_seed(now):
    found = {}
    for repeat in now.wanted:
        found.setdefault(repeat.seed, []).append(repeat.trial)
    return found


ALL = ["0001", "0003", "0004", "0000"]


def test_a_race_begins_with_two_seeds_of_the_best_and_the_first_trial(raced):
    now = race(raced)
    assert by_seed(now) == {1: ALL, 2: ALL}
    assert now.num_to_come == 12


def test_a_trial_that_is_clearly_worse_leaves_and_the_others_get_one_seed_more(raced):
    end_rounds(raced, {"0001": 0.40, "0003": 0.40, "0004": 0.40, "0000": 0.30}, (1, 2))
    now = race(raced)
    assert by_seed(now) == {1: ALL, 2: ALL, 3: ALL[:3]}
    assert now.num_to_come == 6
    assert list(now.out) == ["0000"]
    assert now.out["0000"].startswith("clearly worse than the best after 2 seeds (p below")


def test_a_race_ends_when_one_is_clearly_the_best_or_the_seeds_are_used_up(raced):
    end_rounds(raced, {"0001": 0.40, "0003": 0.30, "0004": 0.30, "0000": 0.20}, (1, 2))
    now = race(raced)
    assert (list(now.epochs), without_outcome(raced.files, now.wanted), now.num_to_come) == (["0001"], [], 0)
    end_rounds(raced, dict.fromkeys(ALL, 0.4), (1, 2, 3))
    assert without_outcome(raced.files, race(raced, num_seeds=3).wanted) == []
    assert len(without_outcome(raced.files, race(raced, num_seeds=4).wanted)) == 4


def test_more_seeds_than_before_let_nobody_back_in(raced):
    end_rounds(raced, {"0001": 0.40, "0003": 0.40, "0004": 0.40, "0000": 0.30}, (1, 2, 3))
    assert race(raced, num_seeds=3).out == race(raced, num_seeds=9).out


def test_part_of_a_round_decides_nothing(raced):
    end_rounds(raced, dict.fromkeys(ALL, 0.4), (1, 2))
    end(raced, "0001", 3, 0.9)
    end(raced, "0003", 3, 0.1)
    now = race(raced)
    assert now.out == {}
    assert [repeat.id for repeat in without_outcome(raced.files, now.wanted)] == [
        "0004-seed3-epochs7",
        "0000-seed3-epochs7",
    ]


@pytest.mark.parametrize("status", ["diverged", "failed", "stopped"])
def test_a_repeat_without_a_score_ends_its_trials_race_until_it_is_retried(raced, status):
    end_rounds(raced, dict.fromkeys(ALL, 0.4), (1, 2))
    end(raced, "0003", 1, 0.9, status=status)
    now = race(raced)
    assert now.out == {"0003": f"its repeat with seed 1 ended as {status}"}
    assert by_seed(now)[3] == ["0001", "0004", "0000"]
    again = without_outcome(raced.files, now.wanted, retry_failed=True)
    assert (Repeat("0003", 1, 7) in again) == (status == "failed")


def test_the_last_one_in_a_race_keeps_its_second_seed(raced):
    for trial in ALL[1:]:
        end(raced, trial, 1, 0.3, status="diverged")
    end(raced, "0001", 1, 0.4)
    assert by_seed(race(raced)) == {1: ALL, 2: ["0001"]}


def test_free_slots_train_seeds_of_later_rounds_which_decide_in_their_turn(raced):
    assert set(by_seed(race(raced, num_at_once=4))) == {1, 2, 3, 4}
    end_rounds(raced, dict.fromkeys(ALL, 0.4), (1, 2, 4))
    assert without_outcome(raced.files, race(raced).wanted) == race(raced).wanted[-4:]


def test_each_contestant_trains_its_own_epochs_and_the_first_trial_the_bests(sweep):
    now = race(sweep, num_seeds=1)
    assert [repeat.id for repeat in now.wanted] == ["0001-seed1-epochs7", "0000-seed1-epochs7", "0002-seed1-epochs9"]


def test_a_race_takes_finished_trials_and_the_best_whatever_its_end(raced):
    write_trial(raced, "0005", 0.41, status="stopped", **{"train.epochs": 7})
    write_trial(raced, "0006", 0.399, status="stopped", **{"train.epochs": 7})
    assert list(race(raced).epochs) == ["0005", "0001", "0003", "0000"]


def test_a_trial_alone_in_its_race_gets_all_seeds(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path)
    write_trial(sweep, "0000", 0.3, **{"train.epochs": 5})
    assert [repeat.seed for repeat in race(sweep).wanted] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("config", [{}, {"train": 3}, {"train": {"epochs": "x"}}])
def test_a_trial_whose_config_is_damaged_is_not_repeated(sweep, config):
    sweep.files.trial("0001").folder.write_json("config.json", config)
    assert [repeat.trial for repeat in wanted(sweep.files, 1, top=3)] == ["0000", "0002"]
