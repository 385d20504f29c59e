"""Every sampler with every scheduler, for one made objective and for two: each searches to its end, or is refused."""

import pytest
from fake_sweep import empty_sweep
from made_search import MadeSearch, made_curve, told
from optuna.trial import TrialState

from segray.errors import ConfigError
from segray.goals import find_goals
from segray.tuning.preflight.samples import draw_samples
from segray.tuning.samplers import SAMPLERS, check_sampler
from segray.tuning.schedulers import SCHEDULERS


def space(trial):
    # Steps, so that grid search can take it; two numbers for CMA-ES.
    trial.suggest_float("optim.lr", 0.01, 0.1, step=0.01)
    if trial.suggest_categorical("optim.name", ["adamw", "sgd"]) == "sgd":
        trial.suggest_float("optim.momentum", 0.5, 0.9, step=0.1)
    trial.suggest_int("train.batch_size", 2, 16, step=2)


def with_latency(values):
    """Larger batches are better in the made curves; here they cost latency."""
    return {"latency_ms": 10.0 + values["train.batch_size"]}


@pytest.mark.parametrize("objectives", [["val_miou"], ["val_loss", "latency_ms"]])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_pair_searches_to_its_end_or_is_refused(tmp_path, sampler, scheduler, objectives):
    goals = find_goals(objectives)
    if refusal(sampler, scheduler, goals):
        assert goals.others
        assert sampler == "cmaes" or (scheduler == "freeze_thaw" and sampler != "freeze_thaw")
        return

    def curve(values, num_epochs):
        return [score if objectives[0] == "val_miou" else 1 - score for score in made_curve(values, num_epochs)]

    files = empty_sweep(tmp_path, objectives=goals.objectives).files
    options = {"num_trials": 9, "slots": 2, "max_epochs": 4, "space": space, "curve": curve, "goals": goals}
    search = MadeSearch(files, sampler, scheduler, properties=with_latency, **options).run()
    ended = told(files)
    assert len(ended) == 9
    assert {status for _, _, status in ended.values()} <= {"finished", "stopped"}
    assert ended["0000"][1:] == (4, "finished")
    if scheduler == "none":
        assert all(epochs == 4 for _, epochs, _ in ended.values())
    complete = [trial for trial in search.searcher.study.trials if trial.state == TrialState.COMPLETE]
    assert all(len(trial.values) == len(objectives) for trial in complete)


def refusal(sampler, scheduler, goals):
    """Return why a pair is refused; empty if it is not."""
    try:
        check_sampler(sampler, {}, draw_samples(space).space, scheduler, goals)
    except ConfigError as error:
        return str(error)
    return ""
