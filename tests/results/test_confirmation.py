"""The comparison of the best trial with the baseline by repeats, and its notes."""

import json

import fake_sweep
import pytest
from fake_sweep import note_texts

from dashboards.figures import FIGURES, NothingToDrawError
from dashboards.summary import summarise
from segray.results import Spread, load
from segray.results.notes import CAUTIONS, repeat_options


@pytest.fixture
def searched(sweep):
    """Trial 0001 is the best trial and has 7 epochs."""
    fake_sweep.write_trial(sweep, "0000", {"train.epochs": 5}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 7}, [0.4])
    return sweep


def repeat(sweep, best, baseline, epochs=7):
    fake_sweep.write_repeats(sweep, "0001", best, epochs=epochs)
    fake_sweep.write_repeats(sweep, "0000", baseline, epochs=epochs)
    return sweep


def loaded(sweep):
    return load(sweep.files.folder.path)


def test_best_baseline_and_gain_are_given_seed_by_seed(searched):
    found = loaded(repeat(searched, [0.41, 0.39, 0.40], [0.33, 0.36, 0.30])).confirmation()
    assert (found.trial, found.epochs, found.seeds) == ("0001", 7, (1, 2, 3))
    assert found.best.values == (0.41, 0.39, 0.40)
    assert found.baseline.values == (0.33, 0.36, 0.30)
    assert found.gain.values == pytest.approx((0.08, 0.03, 0.10))
    assert (found.gain.mean, found.gain.low, found.gain.high) == pytest.approx((0.07, 0.03, 0.10))
    assert not found.overlaps


def test_the_spread_is_a_sample_standard_deviation():
    assert Spread((0.1, 0.2, 0.3)).deviation == pytest.approx(0.1)
    assert Spread((0.1,)).deviation is None


def test_without_repeats_there_is_nothing_to_confirm(searched):
    results = loaded(searched)
    assert results.repeats.empty
    assert results.confirmation() is None
    assert note_texts(results, "repeats", *CAUTIONS) == []
    assert "confirmation" not in results.as_json()


def test_only_seeds_that_both_have_count(searched):
    found = loaded(repeat(searched, [0.41, 0.42], [0.33])).confirmation()
    assert (found.seeds, found.best.values) == ((1,), (0.41,))


def test_repeats_of_other_trials_and_epochs_do_not_count(searched):
    repeat(searched, [0.5], [0.5], epochs=3)
    fake_sweep.write_repeats(searched, "0002", [0.6], epochs=7)
    assert loaded(searched).confirmation() is None


def test_repeats_that_failed_or_have_not_ended_do_not_count_and_failures_are_said(searched):
    repeat(searched, [0.41, 0.42, 0.43], [0.33, 0.34, 0.35])
    fake_sweep.write_trial(searched, "0001-seed2-epochs7", {}, [0.9], status="diverged")
    fake_sweep.write_trial(searched, "0000-seed4-epochs7", {}, [0.9], status=None)
    results = loaded(searched)
    assert results.confirmation().seeds == (1, 3)
    assert note_texts(results, *CAUTIONS) == [
        "1 repeat of trial 0001 failed, and did not count. A trial that diverges with another seed counts as worse "
        "than the others."
    ]


def test_repeats_that_all_failed_are_said_and_not_asked_for_again(searched):
    repeat(searched, [0.41, 0.42], [])
    fake_sweep.write_repeats(searched, "0000", [0.3, 0.3], epochs=7, status="out_of_memory")
    results = loaded(searched)
    assert results.confirmation() is None
    said = "2 repeats of the first trial failed, so no seed is left to compare them by."
    assert note_texts(results, *CAUTIONS) == [said]
    summary = summarise(results)
    assert said in summary.notes
    assert not any("--repeats" in note for note in summary.notes)
    assert len(FIGURES["repeats"].plot(results).data) == 2, "the dots and the mean of the best trial"


def test_the_figure_says_why_no_repeat_can_be_drawn(searched):
    fake_sweep.write_repeats(searched, "0001", [0.41], epochs=7, status="failed")
    with pytest.raises(NothingToDrawError, match="1 repeat of trial 0001 failed, so no seed is left"):
        FIGURES["repeats"].plot(loaded(searched))


def test_a_baseline_that_was_repeated_for_fewer_epochs_than_its_own_is_said(searched):
    fake_sweep.write_trial(searched, "0000", {"train.epochs": 60}, [0.3, 0.38])
    results = loaded(repeat(searched, [0.41, 0.39], [0.33, 0.36]))
    assert note_texts(results, *CAUTIONS) == [
        "Repeats train as long as the best trial: 7 epochs. In the search, the first trial trained for 60 and reached "
        "38.0 % in a single run."
    ]


def test_a_search_without_an_ended_trial_is_asked_for_at_least_one(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3], status=None)
    assert repeat_options(loaded(sweep)) == "--resume --trials 1 --repeats 3"


def test_a_first_trial_that_is_the_best_has_no_gain(searched):
    fake_sweep.write_trial(searched, "0001", {"train.epochs": 7}, [0.2])
    fake_sweep.write_repeats(searched, "0000", [0.31, 0.29], epochs=5)
    results = loaded(searched)
    found = results.confirmation()
    assert (found.trial, found.best.values, found.baseline, found.gain) == ("0000", (0.31, 0.29), None, None)
    [note] = note_texts(results, "repeats")
    assert "gain" not in note


def test_a_best_trial_whose_first_trial_failed_stands_alone(searched):
    fake_sweep.write_trial(searched, "0000", {}, [0.1], status="failed")
    fake_sweep.write_repeats(searched, "0001", [0.4], epochs=7)
    found = loaded(searched).confirmation()
    assert (found.best.values, found.baseline) == ((0.4,), None)


@pytest.mark.parametrize(("worst", "overlaps"), [(0.35, False), (0.34, True), (0.33, True)])
def test_the_spread_overlaps_unless_the_worst_is_above_the_best_of_the_baseline(searched, worst, overlaps):
    results = loaded(repeat(searched, [0.4, worst], [0.3, 0.34]))
    assert results.confirmation().overlaps == overlaps
    cautions = note_texts(results, *CAUTIONS)
    assert [note.partition(" (")[0] for note in cautions] == [
        "The spread overlaps: the worst repeat of trial 0001"
    ] * overlaps


def test_the_note_is_one_line(searched):
    searched.files.folder.write_json("sweep.json", fake_sweep.info(recipe="fcn").model_dump(mode="json"))
    results = loaded(repeat(searched, [0.41, 0.39], [0.33, 0.36]))
    assert note_texts(results, "repeats") == [
        "Repeated with 2 seeds, 7 epochs: trial 0001 40.0 % (39.0 to 41.0), recipe fcn 34.5 % (33.0 to 36.0), "
        "gain +5.5 points (+3.0 to +8.0)."
    ]


def test_json_holds_the_confirmation_and_the_repeats(searched):
    content = json.loads(json.dumps(loaded(repeat(searched, [0.41, 0.39], [0.33, 0.36])).as_json(), allow_nan=False))
    assert content["confirmation"]["gain"]["values"] == pytest.approx([0.08, 0.03])
    assert content["confirmation"]["best"]["standard_deviation"] == pytest.approx(0.0141, abs=1e-4)
    assert [entry["id"] for entry in content["repeats"]][:2] == ["0000-seed1-epochs7", "0000-seed2-epochs7"]
    assert len(content["trials"]) == 2


def test_repeats_are_in_no_other_frame(searched):
    before = loaded(searched)
    results = loaded(repeat(searched, [0.9], [0.8]))
    assert results.trials["id"].tolist() == ["0000", "0001"]
    assert len(results.epochs) == len(before.epochs)
    assert len(results.classes) == len(before.classes)
    assert results.best_trial()["id"] == "0001"


def test_while_repeats_run_open_trials_are_interrupted_and_open_repeats_running(searched):
    fake_sweep.write_trial(searched, "0002", {}, [0.2], status=None)
    fake_sweep.write_trial(searched, "0001-seed1-epochs7", {}, [0.2], status=None)
    state = fake_sweep.state("running").model_copy(update={"repeating": True})
    searched.files.write_state(state)
    results = loaded(searched)
    assert results.trials["outcome"].tolist()[-1] == "interrupted"
    assert results.repeats["outcome"].tolist() == ["running"]
    searched.files.write_state(state.model_copy(update={"status": "interrupted"}))
    assert loaded(searched).repeats["outcome"].tolist() == ["interrupted"]


def test_repeats_that_a_time_limit_ended_are_named_and_no_more_are_advised(searched):
    fake_sweep.write_repeats(searched, "0000", [0.3, 0.3], epochs=7, status="stopped")
    results = loaded(searched)
    said = "2 repeats of the first trial failed or were stopped, so no seed is left to compare them by."
    assert note_texts(results, *CAUTIONS) == [said]
    assert note_texts(results, "comparison") == []
    failures = [line.split(":")[0] for line in note_texts(results, "failure")]
    assert failures[-2:] == ["0000-seed1-epochs7 stopped", "0000-seed2-epochs7 stopped"]
