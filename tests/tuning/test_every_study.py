"""Studies train their first trial, which is the recipe where they start from one, then what they draw."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from every_sweep import STUDIES, num_trials, of_study, sweep_of, train_here

from segray.config import RunConfig
from segray.recipes import RECIPES
from segray.storage import open_sweep
from segray.tuning.recipe import recipe_values
from segray.tuning.space import contains

ROOT = Path(__file__).parents[2]
FILES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.py"))
OF_A_RECIPE = [study for study in FILES if sweep_of(study).recipe]
AS_PUBLISHED = [study for study in OF_A_RECIPE if study != "camvid_recipe_search"]


def test_every_study_is_run():
    assert sorted(STUDIES) == FILES


@pytest.mark.parametrize("study", FILES)
def test_the_given_trials_and_one_of_first_choices_train(tmp_path, study):
    sweep = of_study(study, tmp_path)
    _, files = train_here(sweep)
    assert len(files.trials()) == num_trials(sweep) >= 2
    assert all(trial.records()[0].scores["val_miou"] is not None for trial in files.trials())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every")
    script = Path(__file__).with_name("every_sweep.py")
    subprocess.run([sys.executable, str(script), str(folder), "studies"], check=True, timeout=1700, cwd=ROOT)
    return folder / "runs"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("study", FILES)
def test_a_sweep_of_the_given_trials_and_one_that_is_drawn_finishes(runs, study):
    sweep = open_sweep(runs / sweep_of(study).name)
    trials = sweep.trials()
    assert len(trials) == num_trials(sweep_of(study))
    assert {trial.outcome().status for trial in trials} == {"finished"}
    assert all(trial.records()[0].scores["val_miou"] is not None for trial in trials)
    assert sweep.info().recipe == sweep_of(study).recipe
    if sweep.info().recipe:
        assert trials[0].config() == RunConfig().with_values({**sweep.info().base}).model_dump(mode="json")


@pytest.mark.parametrize("study", FILES)
def test_the_space_can_be_drawn_and_holds_the_first_trials(study):
    sweep = sweep_of(study)
    distributions = {}
    for seed in range(30):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
        further = sweep.space(trial) or {}
        sweep.base.with_values({**trial.params, **further})
        distributions |= trial.distributions
    for first_trial in sweep.first_trials:
        assert {key for key in first_trial if not contains(distributions[key], first_trial[key])} == set()
    if sweep.recipe:
        assert recipe_values(sweep.space, sweep.base)
        assert sweep.recipe in RECIPES


@pytest.mark.parametrize("study", AS_PUBLISHED)
def test_the_base_is_the_published_recipe(study):
    sweep = sweep_of(study)
    assert sweep.base == RECIPES[sweep.recipe].config


@pytest.mark.parametrize("study", FILES)
def test_the_best_trials_race_over_further_seeds_unless_the_study_is_a_first_look(study):
    sweep = sweep_of(study)
    assert (sweep.confirm, sweep.num_seeds) == ((0, 0) if study == "demo_search" else (3, 3))


def test_the_base_of_the_camvid_study_is_the_recipe_with_its_crop_fitted():
    sweep = sweep_of("camvid_recipe_search")
    fitted = {"data.dataset": "camvid", "data.crop_px": [360, 480]}
    assert sweep.base == RECIPES["cityscapes_smp"].config.with_values(fitted)


def test_the_second_trial_of_the_gan_study_is_the_other_recipe():
    sweep = sweep_of("cityscapes_gan_search")
    assert sweep.base.with_values(sweep.first_trials[0]) == RECIPES["sggan_pix2pix"].config
