"""What a space may hold, and what segray makes of it: only what JSON keeps reaches Optuna."""

import enum
import json
from pathlib import Path

import numpy as np
import optuna
import pytest

from segray.config import RunConfig
from segray.errors import ConfigError
from segray.tuning.points import Point, combinations, draw_point, first_of
from segray.tuning.preflight.samples import draw_samples
from segray.tuning.recipe import recipe_values
from segray.tuning.space import CappedSpace, contains, draw_from


def choosing(*choices, key="data.crop_px"):
    def choose(trial):
        trial.suggest_categorical(key, choices)

    return choose


def of_first(space):
    return draw_point(space, Point({}, first_of))


class Text(enum.StrEnum):
    UNET = "Unet"


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ((32, 48), [32, 48]),
        ([(1, 2.5), None], [[1, 2.5], None]),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.int64(4), 4),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("Unet"), "Unet"),
        (Text.UNET, "Unet"),
        (None, None),
        (2**70, 2**70),
        ("Straße\n", "Straße\n"),
    ],
)
def test_a_choice_is_kept_as_json_gives_it_back(choice, kept):
    space = choosing(choice, "other")
    samples = draw_samples(space)
    distributions, draws = samples.space.distributions, samples.values
    stored = optuna.distributions.json_to_distribution(
        optuna.distributions.distribution_to_json(distributions["data.crop_px"])
    )
    assert stored == distributions["data.crop_px"]
    value = of_first(space).values["data.crop_px"]
    assert (value, type(value)) == (kept, type(kept))
    assert all(json.loads(json.dumps(values)) == values for values in draws)


@pytest.mark.parametrize(
    "choice", [b"Unet", {"a": 1}, {1, 2}, Path("runs"), float("nan"), float("inf"), 1j, object, "\ud800", [b""]]
)
def test_what_json_cannot_keep_is_refused_with_key_and_value(choice):
    for space in (choosing(choice, "other"), lambda trial: {"data.crop_px": choice}):
        with pytest.raises(ConfigError, match=r"data\.crop_px in the search space: a value must be None.* but got "):
            draw_samples(space)


@pytest.mark.parametrize("choices", [(1, True), (0, 0.0), ([1], [1.0]), ("a", 2, 2.0)])
def test_choices_that_optuna_cannot_tell_apart_are_refused(choices):
    with pytest.raises(ConfigError, match=r"data\.crop_px in the search space: choices must differ, but .* equals "):
        draw_samples(choosing(*choices))


def test_the_same_choice_twice_is_only_more_likely():
    assert draw_samples(choosing(4, 4, 8)).space.distributions["data.crop_px"].choices == (4, 4, 8)


@pytest.mark.parametrize("choices", ["Unet", {"Unet", "FPN"}, frozenset((1, 2))])
def test_choices_without_an_order_are_refused(choices):
    with pytest.raises(ConfigError, match=r"data\.crop_px in the search space: choices must be a list"):
        draw_samples(lambda trial: trial.suggest_categorical("data.crop_px", choices) and None)


def test_the_space_gets_its_own_objects_back():
    def sizes(trial):
        size = trial.suggest_categorical("data.crop_px", [(32, 48), (64, 96)])
        assert isinstance(size, tuple)
        return {"train.batch_size": np.int64(8) if size == (32, 48) else 4}

    assert of_first(sizes).values == {"data.crop_px": [32, 48], "train.batch_size": 8}


def test_numpy_bounds_are_numbers_and_half_an_epoch_is_refused():
    def numbers(trial):
        trial.suggest_int("train.epochs", np.int64(2), np.float64(8), step=np.int32(2))
        trial.suggest_float("optim.lr", np.float32(0.25), np.float64(0.5))

    distributions = draw_samples(numbers).space.distributions
    assert json.loads(optuna.distributions.distribution_to_json(distributions["train.epochs"]))
    assert distributions["optim.lr"] == optuna.distributions.FloatDistribution(0.25, 0.5)
    with pytest.raises(ConfigError, match=r"train\.epochs .* suggest_int must be whole numbers, but got 2\.5"):
        draw_samples(lambda trial: trial.suggest_int("train.epochs", 2.5, 8) and None)


def test_a_space_that_returns_no_dict_is_refused():
    with pytest.raises(ConfigError, match=r"must return nothing, or a dict .* but returned \['seed'\]"):
        draw_samples(lambda trial: ["seed"])


def test_a_recipes_list_is_found_among_tuples():
    recipe = RunConfig().with_values({"data.crop_px": [64, 96]})
    assert recipe_values(choosing((32, 48), (64, 96)), recipe) == {"data.crop_px": [64, 96]}


def test_capped_epochs_may_be_numpy_numbers():
    space = CappedSpace(choosing(*np.array([5, 20, 50]), key="train.epochs"), 20)
    assert draw_samples(space).space.distributions["train.epochs"].choices == (5, 20)


def test_a_given_number_becomes_the_equal_choice():
    draw = draw_point(choosing(0.0, 1.0, key="optim.l2"), Point({"optim.l2": 1}, first_of))
    assert repr(draw.values["optim.l2"]) == "1.0"
    with pytest.raises(ConfigError, match=r"optim\.l2 cannot be 2 here"):
        draw_point(lambda trial: trial.suggest_float("optim.l2", 0, 1) and None, Point({"optim.l2": 2}, first_of))


@pytest.mark.parametrize(("value", "inside"), [(4, True), (4.0, True), (5, False), (4.5, False), (True, False)])
def test_what_a_stepped_distribution_contains(value, inside):
    assert contains(optuna.distributions.IntDistribution(0, 8, step=2), value) is inside


def conditional(trial):
    if trial.suggest_categorical("arch", ["Unet", "FPN", "Unet"]) == "Unet":
        trial.suggest_int("depth", 3, 7, step=2)
    else:
        trial.suggest_float("dropout", 0.0, 0.3, step=0.1)
    trial.suggest_categorical("norm", [True])


def middle(_point, name, distribution):
    return (distribution.low + distribution.high) / 2


def test_every_combination_of_a_conditional_space_comes_once():
    found = [draw.drawn for draw in combinations(conditional, middle)]
    assert len(found) == 3 + 4
    assert len({json.dumps(point) for point in found}) == len(found)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        trial = study.ask()
        draw_from(conditional, trial)
        assert any(point == pytest.approx(trial.params) for point in found if point.keys() == trial.params.keys())


@pytest.mark.filterwarnings("ignore:The distribution is specified by")
@pytest.mark.parametrize("high", [0.75, 0.6414626756005491])
def test_a_range_whose_highest_value_a_resume_would_lose_is_refused(high):
    def space(trial):
        trial.suggest_float("optim.lr", 0.39146267560054915, high, step=0.25)

    with pytest.raises(
        ConfigError, match=r"optim\.lr in the search space: the ends of a range in steps must have fewer"
    ):
        draw_samples(space)


def test_of_a_number_without_step_one_value_is_sampled_and_long_ranges_are_not_listed():
    def long(trial):
        trial.suggest_float("lr", 0.0, 1.0)
        trial.suggest_int("seed", 0, 2**31)

    found = combinations(long, middle)
    assert [next(found).drawn for _ in range(3)][1:] == [{"lr": 0.5, "seed": 1}, {"lr": 0.5, "seed": 2}]
