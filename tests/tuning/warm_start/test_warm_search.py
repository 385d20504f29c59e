"""Searches that start with curves of earlier sweeps: they learn from these, and train their own trials alone."""

import numpy as np
import pytest
from fake_sweep import empty_sweep
from made_search import KilledError, MadeSearch, made_curve, made_space, told
from optuna.distributions import FloatDistribution

from segray.goals import Goals
from segray.objective import find_objective
from segray.records import WarmStart, WarmTrial
from segray.tuning.freeze_thaw import search
from segray.tuning.freeze_thaw.curve import Curve
from segray.tuning.freeze_thaw.forecast import MOST_TRIALS, Forecast
from segray.tuning.points import Point, draw_point, sample_from

NUM_EPOCHS = 6
GOAL, LIMIT = 0.55, 10


@pytest.fixture(scope="module", autouse=True)
def few_points():
    """Weigh few points for a new trial: most of a decision's time is theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "NUM_RANDOM", 60)
        patch.setattr(search, "NUM_NEAR", 20)
        yield


def warm_trials(seed, *, count=10, epochs=NUM_EPOCHS, sign=1):
    """Trials of an earlier sweep at random points of the same space."""
    random = np.random.default_rng(seed)
    draws = [
        draw_point(made_space, Point({}, lambda _point, _name, distribution: sample_from(distribution, random)))
        for _ in range(count)
    ]
    return [
        WarmTrial(
            run="runs/before",
            trial=f"{number:04d}",
            values=draw.drawn,
            epochs=NUM_EPOCHS,
            scores={epoch: sign * score for epoch, score in enumerate(made_curve(draw.values, NUM_EPOCHS)[:epochs], 1)},
        )
        for number, draw in enumerate(draws)
    ]


def warm_sweep(folder, curves=(), first_trials=(), **changes):
    files = empty_sweep(folder, **changes).files
    files.write_warm_start(WarmStart(curves=tuple(curves), first_trials=tuple(first_trials), summary=("taken",)))
    return files


class ShortSearch(MadeSearch):
    """A search that ends at the goal, or after ten epochs."""

    def event(self):
        if len(self.scores) == LIMIT or max(self.scores, default=0.0) >= GOAL:
            raise KilledError


def epochs_to_goal(files, seed):
    short = ShortSearch(files, seed=seed)
    with pytest.raises(KilledError):
        short.run()
    return len(short.scores)


@pytest.mark.parametrize("seed", range(3))
def test_the_goal_is_reached_in_fewer_epochs_with_curves_of_the_same_task(tmp_path, seed):
    warm = epochs_to_goal(warm_sweep(tmp_path / "warm", warm_trials(seed)), seed)
    cold = epochs_to_goal(empty_sweep(tmp_path / "cold").files, seed)
    assert warm < cold == LIMIT


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    files = warm_sweep(tmp_path_factory.mktemp("unbroken"), warm_trials(0), [FIRST])
    return told(MadeSearch(files, num_trials=4).run().files)


FIRST = {"optim.lr": 2e-2, "optim.name": "adamw", "train.batch_size": 4}


def test_only_the_sweeps_own_trials_have_folders_and_the_first_is_the_taken_one(unbroken):
    assert list(unbroken) == [f"{number:04d}" for number in range(4)]
    assert unbroken["0000"] == (FIRST, NUM_EPOCHS, "finished")
    assert {status for _, _, status in unbroken.values()} <= {"finished", "stopped"}


def test_first_trials_of_other_sweeps_come_after_the_studys_own(tmp_path):
    made = MadeSearch(warm_sweep(tmp_path, first_trials=[FIRST]), num_trials=2)
    own = {"optim.lr": 3e-3, "optim.name": "sgd", "optim.momentum": 0.9, "train.batch_size": 8}
    made.searcher._first.insert(0, own)
    made.run()
    assert [values for values, _, _ in told(made.files).values()][:2] == [own, FIRST]


@pytest.mark.parametrize("kill_at", [5, 19])
def test_a_killed_search_goes_on_as_an_unbroken_one(tmp_path, unbroken, kill_at):
    files = warm_sweep(tmp_path, warm_trials(0), [FIRST])
    with pytest.raises(KilledError):
        MadeSearch(files, num_trials=4, kill_at=kill_at).run()
    assert told(MadeSearch(files, num_trials=4).run().files) == unbroken


def test_the_best_config_of_the_earlier_sweep_may_be_trained_here_too(tmp_path):
    """Its model is not in this sweep, so the score of the earlier trial leaves something to improve."""
    best = {"optim.lr": 1e-2, "optim.name": "adamw", "train.batch_size": 16}
    top = WarmTrial(
        run="r", trial="0099", values=best, epochs=NUM_EPOCHS, scores=dict(enumerate(made_curve(best, NUM_EPOCHS), 1))
    )
    made = MadeSearch(warm_sweep(tmp_path, [*warm_trials(0), top]), num_trials=1)
    points = made.searcher.study.sampler.points(made.searcher.study, made_space, made.searcher.earlier)
    assert best in [draw.drawn for draw in points[:20]], "among the most promising of a hundred"
    assert max(made.run().scores) > GOAL


def test_a_loss_of_an_earlier_sweep_is_better_if_it_is_lower(tmp_path):
    objective = find_objective("val_loss")
    files = warm_sweep(tmp_path, warm_trials(1, sign=-1), objectives=(objective,))

    def loss(values, num_epochs):
        return [-score for score in made_curve(values, num_epochs)]

    scores = MadeSearch(files, num_trials=1, goals=Goals((objective,)), curve=loss).run().scores
    assert min(scores) < -GOAL


def curve(number, lr, score):
    return Curve(
        number=number,
        params={"lr": lr},
        distributions={"lr": FloatDistribution(0.0, 1.0)},
        num_epochs=2,
        scores={1: score / 2, 2: score},
        runs=False,
    )


def test_the_score_to_beat_is_the_sweeps_own():
    others = [curve(-1 - number, number / 10, 0.5 + number / 20) for number in range(5)]
    assert Forecast([*others, curve(0, 0.9, 0.2), curve(1, 0.8, 0.3)]).best == 0.3
    assert Forecast(others).best == 0.5, "without a score of its own, the worst of the others"


def test_a_model_with_too_many_trials_keeps_the_sweeps_own():
    others = [curve(-1 - number, number / 400, 0.9) for number in range(400)]
    own = [curve(number, number / 20, 0.1 + number / 100) for number in range(20)]
    forecast = Forecast([*others, *own])
    assert len(forecast._curves) == MOST_TRIALS
    assert {one.number for one in own} <= {one.number for one in forecast._curves}
