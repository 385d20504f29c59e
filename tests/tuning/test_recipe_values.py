"""The first trial of a sweep that starts from a recipe is the recipe."""

import pytest

from segray.config import RunConfig
from segray.errors import ConfigError, DataError
from segray.tuning.preflight import check, parts
from segray.tuning.recipe import recipe_values
from segray.tuning.sweep import Sweep

RECIPE = RunConfig().with_values({"loss.name": "dice", "optim.lr": 2e-3, "train.epochs": 40, "train.batch_size": 4})


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("loss.name", ["cross_entropy", "dice"])


def conditional(trial):
    if trial.suggest_categorical("loss.name", ["cross_entropy", "dice"]) == "dice":
        trial.suggest_int("train.epochs", 10, 60, step=10)
        return {"train.batch_size": 4}
    trial.suggest_float("loss.label_smoothing", 0.1, 0.2)
    return {"train.batch_size": 8}


def test_the_first_trial_has_the_recipes_value_of_every_key_that_the_space_draws():
    assert recipe_values(space, RECIPE) == {"optim.lr": 2e-3, "loss.name": "dice"}


def test_a_conditional_space_is_followed_where_the_recipe_goes():
    assert recipe_values(conditional, RECIPE) == {"loss.name": "dice", "train.epochs": 40}


def test_a_space_may_ask_its_trial_for_what_it_has_drawn():
    def looking_back(trial):
        space(trial)
        assert trial.params["loss.name"] == "dice"

    assert recipe_values(looking_back, RECIPE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optim.lr": 0.5}, r"optim\.lr is 0\.5, but the space draws it as number from 0\.0001 to 0\.01, log scale; w"),
        ({"loss.name": "focal"}, r"loss\.name is 'focal', but the space draws it as one of cross_entropy, dice; widen"),
    ],
)
def test_a_recipe_outside_the_space_is_refused(values, message):
    with pytest.raises(ConfigError, match=rf"the recipe's {message}"):
        recipe_values(space, RECIPE.with_values(values))


def test_a_recipe_between_the_steps_of_the_space_is_refused():
    with pytest.raises(ConfigError, match=r"train\.epochs is 45, .* from 10 to 60 in steps of 10; widen"):
        recipe_values(conditional, RECIPE.with_values({"train.epochs": 45}))


def test_values_that_the_space_returns_must_be_the_recipes():
    with pytest.raises(ConfigError, match=r"first trial must be the recipe.*\n  train\.batch_size: 16, but 4 returned"):
        recipe_values(conditional, RECIPE.with_values({"train.batch_size": 16}))


def test_a_mistake_in_the_space_names_its_line():
    with pytest.raises(ConfigError, match=r"cannot be drawn: ZeroDivisionError: .*test_recipe_values\.py, line \d+"):
        recipe_values(lambda trial: 1 / 0, RECIPE)


@pytest.fixture
def base(scenes, tmp_path):
    data = {"data.root": str(scenes), "data.cache_dir": str(tmp_path / "cache")}
    model = {"model.encoder": "tu-test_resnet", "model.encoder_weights": "none"}
    return RECIPE.with_values({"data.dataset": "cityscapes"} | data | model)


def checked(base, max_epochs=None, first_trials=()):
    sweep = Sweep(
        name="s",
        base=base,
        space=conditional,
        first_trials=first_trials,
        epochs=max_epochs,
        recipe="cityscapes_smp",
    )
    return check(sweep, num_workers=1, announce=lambda line: None)


def test_the_recipe_is_the_first_trial_and_others_may_follow(base):
    found = checked(base, first_trials=[{"loss.name": "cross_entropy"}])
    assert found.first_trials == [{"loss.name": "dice", "train.epochs": 40}, {"loss.name": "cross_entropy"}]
    assert found.base.with_values(found.first_trials[0]) == found.base
    assert found.base.train.epochs == 40


def test_a_cap_of_epochs_is_all_that_may_change_the_recipe(base):
    found = checked(base, max_epochs=20)
    assert found.first_trials == [{"loss.name": "dice", "train.epochs": 20}]
    assert found.base.with_values(found.first_trials[0]).with_values({"train.epochs": 40}) == base


def test_more_epochs_than_the_space_holds_are_refused_not_cut(base):
    with pytest.raises(ConfigError, match=r"recipe's train\.epochs is 80"):
        checked(base.with_values({"train.epochs": 80}))


def test_data_that_cannot_be_read_are_told_which_recipe_they_are_for(base):
    with pytest.raises(DataError) as error:
        checked(base.with_values({"data.root": "nowhere"}))
    assert error.value.problems
    last = str(error.value).splitlines()[-1]
    assert last.startswith("recipe 'cityscapes_smp' is for the data set cityscapes: --data must hold leftImg8bit/")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data.split.kind": "ratio", "data.split.sizes": [3000, 1000, 1000]}, "data.split.sizes must"),
        ({"data.classes": "groupz"}, "groupz"),
    ],
)
def test_what_else_is_wrong_with_data_is_told_without_the_recipes_folder(base, values, message):
    with pytest.raises(ConfigError) as error:
        checked(base.with_values(values))
    assert message in str(error.value)
    assert "--data must hold" not in str(error.value)


def test_wrong_data_are_told_before_weights_are_fetched(base, monkeypatch):
    monkeypatch.setattr(parts, "resolve_encoder_weights", lambda model: pytest.fail("fetched"))
    with pytest.raises(DataError):
        checked(base.with_values({"data.root": "nowhere"}))
