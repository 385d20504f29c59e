"""The decisions of freeze-thaw search over a study."""

import math

import numpy as np
import optuna
import pytest
from made_search import made_curve, made_space
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from segray.tuning.attributes import EPOCHS, PAUSED, SECONDS
from segray.tuning.freeze_thaw.belief import Belief
from segray.tuning.freeze_thaw.search import FreezeThaw
from segray.tuning.points import Point, draw_point, first_of, identity, sample_from
from segray.tuning.space import contains, draw_from

NUM_EPOCHS = 9


WHOLE = (1e-4, 1e-3, 4e-2, 1e-1)
PAUSED_AT_TWO = (2e-4, 1e-2, 6e-2, 5e-3)


def trial_of(lr, epochs, *, loss=False, paused=False, num_epochs=NUM_EPOCHS):
    """A trial of a made curve after some epochs; RUNNING if its schedule has more."""
    point = draw_point(made_space, Point({"optim.lr": lr, "optim.name": "adamw", "train.batch_size": 8}, first_of))
    scores = [1 - score if loss else score for score in made_curve(point.values, num_epochs)[:epochs]]
    is_whole = epochs == num_epochs
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if is_whole else TrialState.RUNNING,
        value=scores[-1] if is_whole else None,
        params=point.drawn,
        distributions=point.distributions,
        intermediate_values=dict(enumerate(scores, start=1)),
        user_attrs={EPOCHS: num_epochs, PAUSED: paused},
    )


def study_of(*, loss=False):
    """Four trials that ran to their ends, and four that were paused after two epochs."""
    made = optuna.create_study(direction="minimize" if loss else "maximize")
    made.add_trials([trial_of(lr, NUM_EPOCHS, loss=loss) for lr in WHOLE])
    made.add_trials([trial_of(lr, 2, loss=loss, paused=True) for lr in PAUSED_AT_TWO])
    return made


@pytest.fixture
def study():
    return study_of()


@pytest.mark.parametrize("loss", [False, True])
def test_the_paused_trial_that_will_end_best_goes_on(loss):
    assert FreezeThaw(made_space, 0).next_paused(study_of(loss=loss), [4, 5, 6, 7], can_begin=False) == 5


def test_a_trial_that_fails_is_no_longer_the_one_to_beat(study):
    """Its epochs are as many as before, so a forecast that was kept would still hold its score for the best."""
    ahead = trial_of(5e-2, NUM_EPOCHS - 1)
    ahead.intermediate_values = {epoch: score + 0.1 for epoch, score in ahead.intermediate_values.items()}
    study.add_trial(ahead)
    search = FreezeThaw(made_space, 0)
    assert search.next_paused(study, [5], can_begin=False) is None
    study.tell(8, state=TrialState.FAIL)
    assert search.next_paused(study, [5], can_begin=False) == 5


def test_nothing_goes_on_that_is_not_worth_an_epoch(study):
    for lr in (9e-3, 1e-2, 1.1e-2):
        study.add_trial(trial_of(lr, NUM_EPOCHS))
    assert FreezeThaw(made_space, 0).next_paused(study, [4, 6], can_begin=False) is None


def test_points_are_new_valid_and_ordered_by_what_they_promise(study):
    points = FreezeThaw(made_space, 0).points(study)
    tried = {identity(trial.params) for trial in study.trials}
    assert len(points) > 300
    assert not tried & {identity(point.drawn) for point in points}
    assert all(contains(point.distributions[key], value) for point in points for key, value in point.drawn.items())
    ends = [made_curve(point.values, NUM_EPOCHS)[-1] for point in points]
    assert np.mean(ends[:20]) > np.mean(ends) + 0.03


def test_until_some_trials_have_a_score_points_are_random_and_each_trains_an_epoch():
    empty = optuna.create_study(direction="maximize")
    search = FreezeThaw(made_space, 0)
    assert len(search.points(empty)) > 250
    assert search.next_paused(empty, [], can_begin=True) is None
    trial = empty.ask()
    draw_from(made_space, trial)
    assert not search.keeps_slot(empty, 0, 1, 0.3, can_begin=True)
    assert search.next_paused(empty, [0], can_begin=True) is None, "a new one comes first"
    assert search.next_paused(empty, [0], can_begin=False) == 0


def test_a_running_trial_is_not_paused_for_a_new_one_that_may_not_begin(study):
    study.add_trial(trial_of(1.1e-2, 4))
    fifth = made_curve(study.trials[-1].params, NUM_EPOCHS)[4]
    search = FreezeThaw(made_space, 0)
    assert search.keeps_slot(study, 8, 5, fifth, can_begin=False)
    empty = optuna.create_study(direction="maximize")
    draw_from(made_space, empty.ask())
    assert search.keeps_slot(empty, 0, 1, 0.3, can_begin=False), "nobody else could take the slot"


def test_a_range_that_another_key_decides_is_searched_near_its_ends():
    """A neighbour that keeps batch 16 and draws the big encoder once ended the sweep."""

    def space(trial):
        big = trial.suggest_categorical("model.encoder", ["resnet18", "resnet101"]) == "resnet101"
        trial.suggest_int("train.batch_size", 2, 4 if big else 16, step=2)

    made = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    search = FreezeThaw(space, 0)
    for _ in range(12):
        trial = made.ask()
        values = draw_from(space, trial).values
        trial.report(values["train.batch_size"] / 16, 1)
        made.tell(trial, values["train.batch_size"] / 16)
        points = search.points(made)
        assert all(point.values["train.batch_size"] <= 4 for point in points if "101" in point.values["model.encoder"])


def test_a_trial_without_a_score_keeps_its_slot(study):
    trial = study.ask()
    draw_from(made_space, trial)
    assert FreezeThaw(made_space, 0).keeps_slot(study, trial.number, 1, math.nan, can_begin=True)


@pytest.mark.parametrize(("lr", "keeps"), [(1.1e-2, True), (1.5e-4, False)])
def test_a_weak_trial_loses_its_slot_and_a_strong_one_keeps_it(study, lr, keeps):
    study.add_trial(trial_of(lr, 4))
    fifth = made_curve(study.trials[-1].params, NUM_EPOCHS)[4]
    assert FreezeThaw(made_space, 0).keeps_slot(study, 8, 5, fifth, can_begin=True) is keeps


def test_a_search_is_flat_where_neither_a_point_nor_a_paused_trial_promises_more(study):
    assert not FreezeThaw(made_space, 0).is_flat(study)
    assert not FreezeThaw(made_space, 0).is_flat(optuna.create_study())

    def five_points(trial):
        trial.suggest_float("optim.lr", 1e-2, 5e-2, step=1e-2)

    made = optuna.create_study(direction="maximize")
    for number in range(1, 6):
        point = {"optim.lr": number / 100}
        whole = trial_of(number / 100, NUM_EPOCHS)
        whole.params, whole.distributions = point, draw_point(five_points, Point(point, first_of)).distributions
        made.add_trial(whole)
    assert FreezeThaw(five_points, 0).is_flat(made)


def test_a_belief_decides_between_points_that_promise_alike(study):
    believed = FreezeThaw(made_space, 0, belief=Belief(values={"optim.name": "sgd", "train.batch_size": 16})).points(
        study
    )
    open_minded = FreezeThaw(made_space, 0).points(study)
    with_sgd = [sum(point.values["optim.name"] == "sgd" for point in points[:40]) for points in (open_minded, believed)]
    assert with_sgd[0] < with_sgd[1]
    assert {identity(point.drawn) for point in believed} == {identity(point.drawn) for point in open_minded}


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-4, 1e-1, log=True),
        FloatDistribution(0.0, 1.0, step=0.25),
        FloatDistribution(0.0, 1.0),
        IntDistribution(2, 17, step=5),
        IntDistribution(1, 100, log=True),
        CategoricalDistribution(("a", "b", None)),
    ],
)
def test_every_value_of_a_range_is_drawn_and_none_beyond_it(distribution):
    random = np.random.default_rng(0)
    drawn = [sample_from(distribution, random) for _ in range(400)]
    assert all(contains(distribution, value) for value in drawn)
    if isinstance(distribution, CategoricalDistribution) or getattr(distribution, "step", None) not in (None, 1):
        assert len(set(drawn)) == len(getattr(distribution, "choices", ())) or len(set(drawn)) == 1 + round(
            (distribution.high - distribution.low) / distribution.step
        )


def test_a_forecast_is_made_again_when_a_trial_has_a_time(study):
    search = FreezeThaw(made_space, 0)
    before = search.points(study)
    for number in (4, 5):
        trial = optuna.Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)
        trial.set_user_attr(SECONDS, 1000.0 if number == 4 else 1.0)
    then, anew = search.points(study), FreezeThaw(made_space, 0).points(study)
    assert [point.drawn for point in then] == [point.drawn for point in anew]
    assert [point.drawn for point in then] != [point.drawn for point in before]
