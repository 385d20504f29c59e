"""Every sampler of SAMPLERS proposes valid points of a conditional space, none twice, as Optuna itself would."""

import math
from pathlib import Path

import optuna
import pytest
from fake_sweep import empty_sweep, record

from segray.errors import ConfigError
from segray.goals import DEFAULT_GOALS
from segray.tuning.points import identity
from segray.tuning.preflight.samples import draw_samples
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import (
    SAMPLERS,
    check_sampler,
    make_sampler,
    own_scheduler,
    sampler_name,
    samplers_by_trial,
)
from segray.tuning.space import contains

STEPS = {"grid": {"step": 0.25}}


def space_for(name):
    def space(trial):
        trial.suggest_categorical("data.crop_px", [(32, 48), (64, 96), (64, 64)])
        trial.suggest_float("optim.l2", 0.0, 1.0, **STEPS.get(name, {}))
        trial.suggest_int("train.batch_size", 2, 16, step=2)
        if trial.suggest_categorical("optim.name", ["adam", "sgd"]) == "sgd":
            trial.suggest_float("optim.momentum", 0.5, 1.0, **STEPS.get(name, {}))

    return space


def score(values):
    return 1 - (values["optim.l2"] - 0.25) ** 2 - 0.001 * values["train.batch_size"] - 0.1 * len(values)


def search_in(folder, name, space, sampler, sampler_of=None):
    files = empty_sweep(folder / name).files
    database = Path(folder, f"{name}.db")
    return StudySearch(files, space, sampler, [], database, files, DEFAULT_GOALS, max_epochs=1, sampler_of=sampler_of)


def told(search, number):
    given = search.suggest(str(number))["values"]
    best = score(given)
    result = {"record": record(1, best), "best_score": best, "status": "finished"}
    search.on_trial_complete(str(number), result)
    return given


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_that_is_given_as_an_object_has_the_scheduler_of_its_name(name):
    assert own_scheduler(make_sampler(name, 3)) == own_scheduler(name) == SAMPLERS[name].scheduler


def test_a_sampler_that_no_kind_has_stops_trials_by_asha():
    assert own_scheduler(optuna.samplers.GridSampler({"optim.l2": [0.5]})) == "asha"


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_goes_through_a_conditional_space(tmp_path, name):
    space = space_for(name)
    distributions = draw_samples(space).space.distributions
    search = search_in(tmp_path, name, space, make_sampler(name, 3))
    drawn = [told(search, number) for number in range(16)]
    assert len({identity(values) for values in drawn}) == 16
    assert {len(values) for values in drawn} == {4, 5}
    assert all(contains(distributions[key], value) for values in drawn for key, value in values.items())


# Freeze-thaw is no sampler of Optuna's: it proposes whole points.
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "freeze_thaw"])
def test_a_sampler_proposes_what_it_proposes_to_optuna_alone(tmp_path, name):
    # Two of each: a sampler that goes through one sequence must not serve both.
    space, sampler_of, optunas = space_for(name), samplers_by_trial(name, 4), samplers_by_trial(name, 4)
    study = optuna.create_study(direction="maximize")
    search = search_in(tmp_path, name, space, sampler_of(0), sampler_of)
    for number in range(14):
        study.sampler = optunas(number)
        trial = study.ask()
        space(trial)
        study.tell(trial, score(trial.params))
        expected = {key: list(value) if isinstance(value, tuple) else value for key, value in trial.params.items()}
        assert told(search, number) == expected


def lost_trials(folder, name, status):
    """How many of 32 trials a search loses to a part of its space that cannot be trained, if they end with a status."""

    def space(trial):
        trial.suggest_float("optim.l2", 0.0, 1.0)
        trial.suggest_float("optim.momentum", 0.0, 1.0)

    search, lost = search_in(folder, f"{name}-{status}", space, make_sampler(name, 1)), 0
    for number in range(32):
        drawn = search.suggest(str(number))["values"]["optim.l2"]
        made = {"record": record(1, drawn), "best_score": drawn, "status": "finished"}
        failed = {"record": None, "best_score": math.nan, "status": status}
        # The best scores lie beside what cannot be trained, two fifths of the space.
        search.on_trial_complete(str(number), failed if drawn > 0.6 else made)
        lost += drawn > 0.6
    return lost


@pytest.mark.parametrize(("name", "most"), [("tpe", 0.8), ("freeze_thaw", 0.5)])
def test_a_sampler_keeps_away_from_what_cannot_be_trained(tmp_path, name, most):
    as_failures = lost_trials(tmp_path, name, "failed")
    assert as_failures > 10
    assert lost_trials(tmp_path, name, "diverged") <= most * as_failures
    assert lost_trials(tmp_path, name, "out_of_memory") <= most * as_failures


@pytest.mark.parametrize("name", ["gp", "cmaes"])
def test_a_sampler_that_learns_gets_close_to_the_best_point(tmp_path, name):
    def space(trial):
        trial.suggest_float("optim.l2", 0.0, 1.0)
        trial.suggest_float("optim.momentum", 0.0, 1.0)
        trial.suggest_int("train.batch_size", 2, 2)

    search = search_in(tmp_path, name, space, make_sampler(name, 0, {"n_startup_trials": 5}))
    drawn = [told(search, number)["optim.l2"] for number in range(25)]
    assert min(abs(value - 0.25) for value in drawn[-5:]) < 0.05


def test_an_option_is_given_to_optuna_and_one_that_does_not_exist_is_refused():
    assert make_sampler("tpe", 0, {"n_startup_trials": 5})._n_startup_trials == 5
    assert make_sampler("nsga2", 0, {"mutation_prob": None}) is not None
    with pytest.raises(
        ConfigError, match="unknown option of --sampler tpe 'n_startup_trails'; did you mean 'n_startup"
    ):
        make_sampler("tpe", 0, {"n_startup_trails": 5})
    with pytest.raises(
        ConfigError, match="n_startup_trials of --sampler tpe: input should be a valid integer, but got"
    ):
        make_sampler("tpe", 0, {"n_startup_trials": "five"})
    with pytest.raises(ConfigError, match="unknown option of --sampler random 'seed'"):
        make_sampler("random", 0, {"seed": 1})
    with pytest.raises(ConfigError, match=r"--sampler nsga2 refuses its options \{'population_size': 1\}"):
        make_sampler("nsga2", 0, {"population_size": 1})


def test_options_that_only_python_code_can_give_are_not_offered():
    assert set(SAMPLERS["tpe"].options()) >= {"n_startup_trials", "n_ei_candidates", "multivariate", "constant_liar"}
    assert not {"gamma", "weights", "seed", "constraints_func"} & set(SAMPLERS["tpe"].options())


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("cmaes", lambda trial: trial.suggest_float("optim.lr", 0, 1), "at least two numbers .* has optim.lr; "),
        (
            "qmc",
            lambda trial: trial.suggest_categorical("loss.name", ["dice", "focal"]),
            "needs a number .* has none; ",
        ),
        ("grid", lambda trial: trial.suggest_float("optim.lr", 0, 1), "numbers with a step, .* none for optim.lr; "),
    ],
)
def test_a_sampler_that_cannot_search_a_space_is_refused_with_those_that_can(name, space, message):
    def drawn(trial):
        space(trial)

    with pytest.raises(
        ConfigError, match=f"--sampler {name} .*{message}change the space, or use one of freeze_thaw, tpe, random"
    ):
        check_sampler(name, {}, draw_samples(drawn).space, "asha", DEFAULT_GOALS)


def test_an_unknown_sampler_is_refused_with_the_choices():
    with pytest.raises(ConfigError, match="unknown --sampler 'tpee'; did you mean 'tpe'"):
        make_sampler("tpee", 0)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_object_is_taken_as_it_is(tmp_path):
    own = optuna.samplers.PartialFixedSampler({"optim.l2": 0.5}, optuna.samplers.RandomSampler(seed=1))
    assert make_sampler(own, 7) is own
    assert sampler_name(own) == "PartialFixedSampler"
    search = search_in(tmp_path, "own", space_for("own"), own)
    assert [told(search, number)["optim.l2"] for number in range(5)] == [0.5] * 5
    with pytest.raises(ConfigError, match="sampler options need a sampler that is given by name"):
        make_sampler(own, 7, {"n_startup_trials": 5})


class Settled(optuna.samplers.RandomSampler):
    """A sampler that proposes the same point for ever."""

    def sample_independent(self, study, trial, name, distribution):
        return distribution.choices[0] if hasattr(distribution, "choices") else distribution.low


def test_a_sampler_that_proposes_one_point_for_ever_does_not_end_an_endless_space(tmp_path):
    search = search_in(tmp_path, "settled", space_for("settled"), Settled(seed=0))
    drawn = [told(search, number) for number in range(12)]
    assert len({identity(values) for values in drawn}) == 12
    assert search.num_combinations is None
    assert len({str(values["data.crop_px"]) for values in drawn}) > 1, "not the first combinations in order"
