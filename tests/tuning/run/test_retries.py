"""Trials whose slot died are handed out again, and their searcher hears of them once."""

import pytest
from fake_sweep import empty_sweep, record
from ray.tune.search import Searcher

from segray.records import CheckpointPointer
from segray.tuning.run.repeats import ListSearch
from segray.tuning.run.retries import MAX_DEATHS, Retries


class Told(ListSearch):
    """Four trials, and what this searcher is told of them."""

    def __init__(self, num_trials=4):
        left = [[(f"000{number}", {"seed": number}) for number in range(num_trials)]]
        super().__init__(lambda: left.pop() if left else [])
        self.told = []

    def on_trial_result(self, trial_id, result):
        self.told.append((trial_id, result["epoch"]))

    def on_trial_complete(self, trial_id, result=None, error=False):
        super().on_trial_complete(trial_id, result, error)
        self.told.append((trial_id, "error" if error else "end"))


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def files(tmp_path):
    return empty_sweep(tmp_path).files


def test_a_lost_trial_comes_again_before_the_next_one_and_is_told_under_its_first_name(told, files):
    retries = Retries(told, files)
    first = retries.suggest("tune-a")
    retries.on_trial_result("tune-a", {"epoch": 1})
    retries.on_trial_complete("tune-a", error=True)
    assert retries.suggest("tune-b") == first
    assert retries.suggest("tune-c")["trial"] == "0001"
    retries.on_trial_result("tune-b", {"epoch": 2})
    retries.on_trial_complete("tune-b", {"epoch": 2})
    assert told.told == [("tune-a", 1), ("tune-a", 2), ("tune-a", "end")]


def test_deaths_without_an_epoch_between_fail_a_trial(files):
    told = Told(1)
    retries = Retries(told, files)
    for number in range(MAX_DEATHS):
        assert retries.suggest(f"tune-{number}")["trial"] == "0000"
        retries.on_trial_complete(f"tune-{number}", error=True)
    assert not retries.goes_on("0000")
    assert told.told == [("tune-0", "error")]
    assert retries.suggest("tune-9") == Searcher.FINISHED


def test_an_epoch_gives_a_trial_all_its_retries_back(told, files):
    retries = Retries(told, files)
    for number in range(2 * MAX_DEATHS):
        assert retries.suggest(f"tune-{number}")["trial"] == "0000"
        retries.on_trial_result(f"tune-{number}", {"epoch": number + 1})
        retries.on_trial_complete(f"tune-{number}", error=True)
    assert retries.goes_on("0000")


def test_an_epoch_that_a_slot_could_not_pass_on_gives_a_trial_its_retries_back_too(told, files):
    retries = Retries(told, files)
    for number in range(2 * MAX_DEATHS):
        assert retries.suggest(f"tune-{number}")["trial"] == "0000"
        pointer = CheckpointPointer(checkpoint=f"checkpoints/{number + 1}-1", record=record(number + 1), seconds=1.0)
        files.trial("0000").write_pointer("last", pointer)
        retries.on_trial_complete(f"tune-{number}", error=True)
    assert retries.goes_on("0000")
    assert told.told == []


def test_the_search_is_over_when_no_trial_can_come_back(told, files):
    retries, last = Retries(told, files), 3
    given = [retries.suggest(f"tune-{number}") for number in range(last + 1)]
    assert [one["trial"] for one in given] == [f"000{number}" for number in range(last + 1)]
    assert retries.suggest("tune-x") is None
    retries.on_trial_complete(f"tune-{last}", error=True)
    assert retries.suggest("tune-y") == given[last]
    for running in [*(f"tune-{number}" for number in range(last)), "tune-y"]:
        assert retries.suggest("tune-x") is None
        retries.on_trial_complete(running, {"epoch": 1})
    assert retries.suggest("tune-x") == Searcher.FINISHED
