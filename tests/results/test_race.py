"""The race of the best trials over further seeds: standings, winner, and the notes on them."""

import json

import fake_sweep
import pytest
from fake_sweep import note_texts

from segray.objective import Objective
from segray.results import load


@pytest.fixture
def raced(sweep):
    """Trial 0001 is the search's best; 0002 is better over further seeds, and the first trial left after two."""
    fake_sweep.write_trial(sweep, "0000", {"train.epochs": 5}, [0.30])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 7}, [0.44])
    fake_sweep.write_trial(sweep, "0002", {"train.epochs": 4}, [0.43])
    fake_sweep.write_repeats(sweep, "0000", [0.30, 0.31], epochs=7)
    fake_sweep.write_repeats(sweep, "0001", [0.39, 0.40, 0.38], epochs=7)
    fake_sweep.write_repeats(sweep, "0002", [0.42, 0.44, 0.42], epochs=4)
    return sweep


def loaded(sweep):
    return load(sweep.files.folder.path)


def standings(race):
    return {one.trial: (one.epochs, one.seeds) for one in race.contestants}


def test_each_contestant_has_its_epochs_and_the_first_trial_the_bests(raced):
    fake_sweep.write_repeats(raced, "0000", [0.9], epochs=5)
    fake_sweep.write_repeats(raced, "0002", [0.9], epochs=7)
    assert standings(loaded(raced).race) == {"0002": (4, (1, 2, 3)), "0001": (7, (1, 2, 3)), "0000": (7, (1, 2))}


def test_another_winner_than_the_searchs_best_is_said_with_the_option_that_uses_it(raced):
    results = loaded(raced)
    assert results.best_trial()["id"] == "0001", "a race does not change which model a run stands for"
    standing, verdict = note_texts(results, "race")
    assert standing == (
        "Over further seeds (mean, 95 % interval, probability of being the best): trial 0002 42.7 % (41.2 to 44.2, "
        "3 seeds, above 0.99), trial 0001 39.0 % (37.5 to 40.5, 3 seeds, below 0.01), the first trial 30.5 % (28.7 to "
        "32.3, 2 seeds, below 0.01)."
    )
    assert verdict == (
        "Use trial 0002, by --trial 0002, rather than trial 0001, the search's best: trial 0002 is the best of 3 "
        "trials over 3 further seeds with probability above 0.99."
    )


def test_a_race_that_is_not_clear_asks_for_more_seeds_unless_it_runs(raced):
    fake_sweep.write_repeats(raced, "0002", [0.39, 0.41, 0.38], epochs=4)
    advice = "The race is not clear: more seeds would tell (segray confirm RUN --seeds N)."
    assert note_texts(loaded(raced), "race")[-1] == advice
    raced.files.write_state(fake_sweep.state("running"))
    assert advice not in note_texts(loaded(raced), "race")


def test_two_trials_have_a_verdict_alone(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 1}, [0.4])
    fake_sweep.write_repeats(sweep, "0000", [0.30, 0.31])
    fake_sweep.write_repeats(sweep, "0001", [0.40, 0.42])
    [verdict] = note_texts(loaded(sweep), "race")
    assert verdict.startswith("Trial 0001 is the best of 2 trials over 2 further seeds with probability 0.98")


@pytest.mark.parametrize("scores", [{"0001": [0.4]}, {"0001": [0.4], "0000": [0.3]}, {"0001": [0.4, 0.5, 0.4]}])
def test_one_seed_or_one_contestant_has_no_winner(sweep, scores):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 1}, [0.4])
    for trial, values in scores.items():
        fake_sweep.write_repeats(sweep, trial, values)
    results = loaded(sweep)
    assert results.race.winner is None
    assert len(results.race.contestants) == len(scores)
    assert note_texts(results, "race") == []


def test_a_contestant_that_diverged_once_is_worse_than_all_others(raced):
    fake_sweep.write_trial(raced, "0002-seed3-epochs4", {}, [0.9], status="diverged")
    race = loaded(raced).race
    assert [(one.trial, one.num_diverged) for one in race.contestants] == [("0001", 0), ("0000", 0), ("0002", 1)]
    assert (race.winner.trial, race.of("0002").chance) == ("0001", 0.0)


def test_a_repeat_that_failed_leaves_the_chances_to_the_other_seeds(raced):
    fake_sweep.write_trial(raced, "0002-seed3-epochs4", {}, [], status="failed")
    race = loaded(raced).race
    assert (race.winner.trial, race.winner.seeds) == ("0002", (1, 2))


def test_where_all_have_diverged_none_is_recommended(raced):
    for repeat_id in ("0000-seed1-epochs7", "0001-seed1-epochs7", "0002-seed1-epochs4"):
        fake_sweep.write_trial(raced, repeat_id, {}, [], status="diverged")
    assert loaded(raced).race.winner is None


def test_trials_that_failed_in_the_search_do_not_compete(raced):
    fake_sweep.write_trial(raced, "0002", {"train.epochs": 4}, [0.43], status="diverged")
    assert list(standings(loaded(raced).race)) == ["0001", "0000"]


def test_of_losses_the_lowest_wins(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, objectives=(Objective("val_loss", "minimize"),))
    for number, loss in enumerate((0.9, 0.5, 0.6)):
        fake_sweep.write_trial(sweep, f"000{number}", {"train.epochs": 1}, [0.3], losses=[loss])
        fake_sweep.write_repeats(sweep, f"000{number}", [0.3, 0.3], losses=[loss, loss + 0.02 + 0.001 * number])
    assert [one.trial for one in loaded(sweep).race.contestants] == ["0001", "0002", "0000"]


def test_json_holds_the_race(raced):
    found = json.loads(json.dumps(loaded(raced).as_json(), allow_nan=False))["race"]
    assert found["winner"] == "0002"
    first = found["contestants"][0]
    assert (first["trial"], first["values"], first["diverged"]) == ("0002", [0.42, 0.44, 0.42], 0)
    assert first["probability_of_being_the_best"] > 0.99
    assert first["interval"][0] < first["mean"] < first["interval"][1]
