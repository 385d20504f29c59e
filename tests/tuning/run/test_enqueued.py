"""Points that persons add to a search."""

from pathlib import Path

import pytest
from fake_sweep import empty_sweep
from made_search import MadeSearch, made_space, told
from optuna.trial import TrialState

from segray.errors import ConfigError
from segray.goals import DEFAULT_GOALS
from segray.records import Outcome
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import make_sampler
from segray.tuning.space import CappedSpace

POINT = {"optim.lr": 0.05, "optim.name": "sgd", "optim.momentum": 0.75, "train.batch_size": 8}


@pytest.fixture
def files(tmp_path):
    return empty_sweep(tmp_path).files


def searcher(files, first_trials=(), num_trials=None, space=made_space):
    return StudySearch(
        files,
        CappedSpace(space, 6),
        make_sampler("tpe", 0),
        first_trials,
        Path(files.folder.path, "driver.db"),
        files,
        DEFAULT_GOALS,
        max_epochs=6,
        num_trials=num_trials,
    )


def enqueue(search, values, said=None, check=lambda point: None):
    return search.enqueue(values, check, (said if said is not None else []).append)


def test_points_are_the_next_new_trials_in_their_order_behind_the_first_trials(files):
    first, said = {**POINT, "train.batch_size": 2}, []
    search = searcher(files, [first], num_trials=4)
    assert enqueue(search, POINT, said) == 1
    assert enqueue(search, {"train.batch_size": 16, "optim.momentum": 0.6}, said) == 2
    begun = [search.suggest(name)["values"] for name in "abc"]
    assert begun[:2] == [first, POINT]
    assert (begun[2]["optim.name"], begun[2]["train.batch_size"], begun[2]["optim.momentum"]) == ("sgd", 16, 0.6)
    assert said == ["trial 0001 has them", "trial 0002 has them"]
    assert search.suggest("d")["values"] not in begun
    # Enqueued points count within the number of trials.
    assert search.suggest("e") is None or search.suggest("e") == "FINISHED"


def test_a_point_that_was_tried_is_refused_with_its_trial_also_after_a_resume(files):
    search = searcher(files, [POINT])
    trial = search.suggest("a")
    files.trial("0000").write_values(trial["values"])
    for restarted in (search, searcher(files)):
        with pytest.raises(ConfigError, match="trial 0000 has these values, and no point is tried twice"):
            enqueue(restarted, POINT)
    enqueue(search, {**POINT, "optim.lr": 0.01})
    with pytest.raises(ConfigError, match="waits for its trial already"):
        enqueue(search, {**POINT, "optim.lr": 0.01})


def test_the_check_gets_a_whole_point_and_its_error_keeps_the_point_out(files):
    def refuse(point):
        seen.append(point)
        raise ConfigError("train.batch_size must be at most the 8 training images")

    seen, search = [], searcher(files)
    with pytest.raises(ConfigError, match="at most the 8"):
        enqueue(search, {"train.batch_size": 16}, check=refuse)
    assert seen[0].keys() >= {"optim.lr", "optim.name", "train.batch_size"}
    assert search.suggest("a")["values"]["train.batch_size"] is not None
    assert enqueue(search, {"train.batch_size": 16}) == 0


def test_a_key_that_other_choices_leave_without_a_meaning_is_refused(files):
    with pytest.raises(ConfigError, match=r"asks for optim\.momentum only after other choices"):
        enqueue(searcher(files), {"optim.name": "adamw", "optim.momentum": 0.6})


def test_there_must_be_a_trial_left_to_begin(files):
    search = searcher(files, num_trials=2)
    search.suggest("a")
    enqueue(search, POINT)
    with pytest.raises(ConfigError, match="no trial is left to begin in this search"):
        enqueue(search, {**POINT, "optim.lr": 0.01})
    assert search.suggest("b")["values"] == POINT
    # Trials that an earlier start left unfinished take the places first.
    for name in ("0000", "0001"):
        files.trial(name).write_values(search.study.trials[int(name)].params)
    with pytest.raises(ConfigError, match="no trial is left"):
        enqueue(searcher(files, num_trials=2), {**POINT, "optim.lr": 0.01})


def test_a_point_whose_last_free_values_are_tried_meanwhile_leaves_its_turn_to_the_sampler(files):
    def few(trial):
        trial.suggest_categorical("optim.name", ["adamw", "sgd"])

    said = []
    search = StudySearch(
        files, few, make_sampler("tpe", 0), [], Path(files.folder.path, "d.db"), files, DEFAULT_GOALS, max_epochs=6
    )
    enqueue(search, {"optim.name": "sgd"}, said)
    search._tried['{"optim.name": "sgd"}'] = "0007"
    assert search.suggest("a")["values"] == {"optim.name": "adamw"}
    assert said == ["none can, since all such points have been tried"]


def test_where_trials_pause_a_point_comes_first_and_a_trial_that_a_person_ends_never_goes_on(files):
    made = MadeSearch(files, num_trials=4, max_epochs=3)
    for _ in range(3):
        trial = made.suggest()
        while made.step(trial):
            pass
    ended, goes_on = made.scheduler.paused
    assert made.searcher.end_paused("0009") == []
    assert made.searcher.end_paused(ended) == [ended]
    made.finish(ended, "stopped")
    assert list(made.scheduler.paused) == [goes_on]
    enqueue(made.searcher, POINT)
    trial = made.suggest()
    assert trial.config["values"] == POINT
    while made.step(trial):
        pass
    made.run()
    assert told(files)[ended][1:] == (1, "stopped")
    assert told(files)[goes_on][2] is not None
    assert made.searcher.study.trials[int(ended)].state == TrialState.PRUNED
    assert len(told(files)) == 4


def test_a_trial_stopped_before_its_first_epoch_never_happened_to_optuna_and_stays_ended(files):
    search = searcher(files)
    trial = search.suggest("a")
    files.trial("0000").write_values(trial["values"])
    files.trial("0000").finish(Outcome(status="stopped", reason="stopped by request of alice@host"))
    search.on_trial_complete("a", {"epoch": 0, "record": None, "best_score": float("nan"), "status": "stopped"})
    resumed = searcher(files)
    for study in (search.study, resumed.study):
        assert [trial.state for trial in study.trials] == [TrialState.FAIL]
    assert resumed.suggest("b")["trial"] == "0001"


def test_a_range_that_another_key_decides_refuses_no_point_and_ends_no_sweep(files):
    def space(trial):
        bounds = (1e-4, 1e-2) if trial.suggest_categorical("optim.name", ["adamw", "sgd"]) == "adamw" else (1e-2, 1.0)
        trial.suggest_float("optim.lr", *bounds)

    search = searcher(files, space=space)
    enqueue(search, {"optim.lr": 0.003})
    assert search.suggest("a")["values"] == {"optim.name": "adamw", "optim.lr": 0.003}
    with pytest.raises(ConfigError):
        enqueue(search, {"optim.lr": 3.0})
