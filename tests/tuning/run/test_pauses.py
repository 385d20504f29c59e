"""Searches that pause trials: who goes on, what the study hears, and what a resume makes of them."""

import random
import shutil

import pytest
from fake_sweep import empty_sweep
from made_search import KilledError, MadeSearch, made_curve, made_space, told
from optuna.trial import TrialState

from segray.storage import open_sweep
from segray.tuning.attributes import EPOCHS, PAUSED


def search(folder, **options):
    return MadeSearch(empty_sweep(folder).files, **options)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    made = search(tmp_path_factory.mktemp("unbroken"))
    made.run()
    return made


def test_every_trial_ends_and_most_without_their_whole_schedule(unbroken):
    ended = told(unbroken.files)
    assert len(ended) == 10
    assert {status for _, _, status in ended.values()} == {"finished", "stopped"}
    assert ended["0000"][1:] == (6, "finished"), "the baseline runs to its end"
    assert sum(epochs for _, epochs, _ in ended.values()) < 0.8 * 10 * 6
    assert unbroken.switches > 3


def test_the_study_knows_schedules_and_ends_without_a_trial_left_open(unbroken):
    trials = unbroken.searcher.study.trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert {trial.user_attrs[EPOCHS] for trial in trials} == {6}
    assert [len(trial.intermediate_values) for trial in trials] == [
        epochs for _, epochs, _ in told(unbroken.files).values()
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_search_that_is_killed_again_and_again_trains_what_an_unbroken_one_does(tmp_path, unbroken, seed):
    draw, files = random.Random(seed), empty_sweep(tmp_path).files
    for start in range(4):
        # Without study.db, the study is built from the trials' files.
        if draw.random() < 0.5:
            files.folder.delete("study.db")
        try:
            MadeSearch(files, kill_at=draw.randrange(1, 50) if start < 3 else None).run()
        except KilledError:
            continue
        break
    assert told(files) == told(unbroken.files)


def test_a_resume_without_room_for_new_trials_weighs_the_paused_ones_alone(tmp_path):
    files = empty_sweep(tmp_path).files
    with pytest.raises(KilledError):
        MadeSearch(files, kill_at=45).run()
    begun = len(files.trials())
    waiting = [trial.id for trial in files.trials() if trial.outcome() is None and trial.records()]
    again = MadeSearch(files, num_trials=begun)
    assert list(again.scheduler.paused) == [name for name in waiting if name != "0000"]
    assert all(trial.user_attrs[PAUSED] for trial in again.searcher.study.trials if f"{trial.number:04d}" in waiting)
    again.run()
    assert len(files.trials()) == begun
    assert all(trial.outcome() for trial in files.trials())


def test_several_slots_share_what_is_known(tmp_path):
    made = search(tmp_path, slots=3, num_trials=12).run()
    ended = told(made.files)
    assert len(ended) == 12
    assert all(status for _, _, status in ended.values())


def test_a_trial_whose_last_epoch_was_written_ends_at_once_on_a_resume(tmp_path):
    files = empty_sweep(tmp_path).files
    first = MadeSearch(files, num_trials=3)
    trial = first.suggest()
    while len(files.trial("0000").records()) < 5:
        first.step(trial)
    first.kill_at = first.events + 2
    with pytest.raises(KilledError):
        first.step(trial)
    assert len(files.trial("0000").records()) == 6
    again = MadeSearch(files, num_trials=3)
    assert not again.scheduler.paused
    again.run()
    assert told(files)["0000"][1:] == (6, "finished")


def test_a_small_space_is_used_up_and_its_paused_trials_still_end(tmp_path):
    def space(trial):
        trial.suggest_categorical("optim.name", ["adamw", "sgd"])
        trial.suggest_categorical("train.batch_size", [2, 4])

    def curve(values, num_epochs):
        return made_curve({"optim.lr": 1e-2, **values}, num_epochs)

    made = search(tmp_path, space=space, curve=curve, num_trials=30).run()
    assert len(told(made.files)) == 4
    assert made.searcher.num_combinations == 4
    assert all(status for _, _, status in told(made.files).values())


def test_a_searched_number_of_epochs_is_the_length_of_a_trials_schedule(tmp_path):
    def space(trial):
        made_space(trial)
        trial.suggest_int("train.epochs", 2, 30)

    made = search(tmp_path, space=space).run()
    for trial in made.searcher.study.trials:
        assert trial.user_attrs[EPOCHS] == min(trial.params["train.epochs"], 6)


def test_a_trial_that_diverges_while_others_wait_ends_and_is_not_taken_up(tmp_path):
    def curve(values, num_epochs):
        scores = made_curve(values, num_epochs)
        return [*scores[:1], None] if values["optim.lr"] > 3e-2 else scores

    made = search(tmp_path, curve=curve).run()
    ended = told(made.files)
    assert "diverged" in {status for _, _, status in ended.values()}
    assert all(epochs == 1 for _, epochs, status in ended.values() if status == "diverged")


def test_a_resume_that_asks_for_fewer_trials_than_have_begun_begins_none(tmp_path):
    files = empty_sweep(tmp_path).files
    with pytest.raises(KilledError):
        MadeSearch(files, kill_at=45).run()
    begun = len(files.trials())
    MadeSearch(files, num_trials=sum(trial.outcome() is not None for trial in files.trials()) + 1).run()
    assert len(files.trials()) == begun
    assert all(trial.outcome() for trial in files.trials())


def test_trials_that_ended_while_paused_are_weighed_no_more(unbroken, tmp_path):
    shutil.copytree(unbroken.files.folder.path, tmp_path / "camvid")
    files = open_sweep(f"{tmp_path}/camvid")
    again = MadeSearch(files, num_trials=14)
    [*before] = told(files)
    again.run()
    ended = told(files)
    assert len(ended) == 14
    assert {name: ended[name] for name in before} == told(unbroken.files)


def test_a_search_that_waits_for_a_running_trial_weighs_nothing_again(tmp_path, monkeypatch):
    made = search(tmp_path, num_trials=1, slots=1)
    made.suggest()
    weighed = []
    monkeypatch.setattr(made.searcher, "_continued", lambda: weighed.append(1))
    assert made.searcher.suggest("x") is None
    assert weighed
    weighed.clear()
    assert [made.searcher.suggest(f"x{number}") for number in range(5)] == [None] * 5
    assert not weighed


def test_trials_of_a_space_that_is_used_up_before_the_model_begins_run_to_their_ends(tmp_path):
    def space(trial):
        trial.suggest_categorical("optim.name", ["adamw", "sgd", "adam"])

    made = search(tmp_path, space=space, curve=lambda values, _: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).run()
    assert [(epochs, status) for _, epochs, status in told(made.files).values()] == [(6, "finished")] * 3


def test_few_trials_run_to_their_ends_without_a_switch(tmp_path):
    made = search(tmp_path, num_trials=3).run()
    assert [(epochs, status) for _, epochs, status in told(made.files).values()] == [(6, "finished")] * 3
    assert made.switches <= 1, "the first of the two others, for the second to begin"
