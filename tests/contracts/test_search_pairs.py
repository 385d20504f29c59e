"""Every sampler with every scheduler, on a made objective in either direction: each pair searches to its end."""

import pytest
from fake_sweep import empty_sweep
from made_search import MadeSearch, made_curve, told

from segray.objective import find_objective
from segray.tuning.samplers import SAMPLERS
from segray.tuning.schedulers import SCHEDULERS


def space(trial):
    # Steps, so that grid search can take it; two numbers for CMA-ES.
    trial.suggest_float("optim.lr", 0.01, 0.1, step=0.01)
    if trial.suggest_categorical("optim.name", ["adamw", "sgd"]) == "sgd":
        trial.suggest_float("optim.momentum", 0.5, 0.9, step=0.1)
    trial.suggest_int("train.batch_size", 2, 16, step=2)


@pytest.mark.parametrize("name", ["val_miou", "val_loss"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_pair_searches_to_its_end(tmp_path, sampler, scheduler, name):
    def curve(values, num_epochs):
        return [score if name == "val_miou" else 1 - score for score in made_curve(values, num_epochs)]

    objective = find_objective(name)
    files = empty_sweep(tmp_path, objectives=(objective,)).files
    options = {"num_trials": 9, "slots": 2, "max_epochs": 4, "space": space, "curve": curve, "objective": objective}
    MadeSearch(files, sampler, scheduler, **options).run()
    ended = told(files)
    assert len(ended) == 9
    assert {status for _, _, status in ended.values()} <= {"finished", "stopped"}
    assert ended["0000"][1:] == (4, "finished")
    if scheduler == "none":
        assert all(epochs == 4 for _, epochs, _ in ended.values())
