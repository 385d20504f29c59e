"""Every study that starts from a recipe trains the recipe first, then what it draws."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from every_study import STUDIES, sweep_of

from segray.config import RunConfig
from segray.recipes import RECIPES
from segray.storage import open_sweep
from segray.tuning.recipe import recipe_values
from segray.tuning.space import contains

# Five sweeps of some 20 s each on two idle cores.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every")
    script = Path(__file__).with_name("every_study.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=580, cwd=ROOT)
    return folder / "runs"


@pytest.mark.parametrize("study", STUDIES)
def test_two_trials_finish_and_the_first_is_the_recipe(runs, study):
    sweep = open_sweep(runs / sweep_of(study).name)
    trials = sweep.trials()
    assert [trial.outcome().status for trial in trials] == ["finished", "finished"]
    assert all(trial.records()[0].val_miou is not None for trial in trials)
    assert sweep.info().recipe in RECIPES
    assert trials[0].config() == RunConfig().with_values({**sweep.info().base}).model_dump(mode="json")


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.py")), ids=lambda path: path.stem)
def test_the_space_can_be_drawn_and_holds_the_first_trials(path):
    sweep = sweep_of(path.stem)
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


@pytest.mark.parametrize("study", STUDIES)
def test_the_base_is_the_published_recipe(study):
    sweep = sweep_of(study)
    assert sweep.base == RECIPES[sweep.recipe].config
    assert sweep.repeats == 3
