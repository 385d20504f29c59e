"""What the model expects of trials and points, on curves whose ends are known."""

import math
import time

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from segray.tuning.freeze_thaw.curve import Curve
from segray.tuning.freeze_thaw.forecast import COST_WEIGHT, MOST_TRIALS, Forecast

LR = FloatDistribution(0.0, 1.0)
LOSS = CategoricalDistribution(("dice", "focal"))
EPOCHS = 10


def end(lr, loss="dice"):
    return 0.6 - (lr - 0.3) ** 2 - 0.1 * (loss == "focal")


def curve(number, lr, epochs, loss="dice", *, of=EPOCHS, runs=False, noise=0.0):
    scores = {epoch: end(lr, loss) * (1 - 0.5 ** (8 * epoch / of)) + noise for epoch in range(1, epochs + 1)}
    return Curve(
        number=number,
        params={"lr": lr, "loss": loss},
        distributions={"lr": LR, "loss": LOSS},
        num_epochs=of,
        scores=scores,
        runs=runs,
    )


def gains_of_points(forecast, points):
    return forecast.of_points(points, [EPOCHS] * len(points)).gains


def whole_curves(count=8):
    return [curve(number, number / (count - 1), EPOCHS, ("dice", "focal")[number % 2]) for number in range(count)]


def test_a_half_trained_trial_that_is_ahead_gains_more_than_one_that_is_behind():
    curves = [*whole_curves(), curve(8, 0.32, 3), curve(9, 0.9, 3)]
    ahead, behind = Forecast(curves).of_trials([8, 9]).gains
    assert ahead > 10 * behind


def test_a_point_near_the_best_ones_gains_more_than_one_far_away():
    forecast = Forecast(whole_curves())
    near, far = gains_of_points(forecast, [{"lr": 0.31, "loss": "dice"}, {"lr": 0.95, "loss": "focal"}])
    assert near > 3 * far


def test_the_end_of_a_trial_is_predicted_within_a_few_hundredths():
    forecast = Forecast([*whole_curves(), curve(8, 0.25, 6)])
    mean, spread = forecast._model.ends(forecast._gaps[[8]], np.array([8]))
    assert mean[0] == pytest.approx(end(0.25), abs=0.03)
    assert 0 < spread[0] < 0.1


def test_an_epoch_counts_by_its_share_of_the_schedule():
    long, short = curve(8, 0.3, 5, of=5), curve(9, 0.3, 5, of=50)
    forecast = Forecast([*whole_curves(), long, short])
    _, (spread_long, spread_short) = forecast._model.ends(forecast._gaps[[8, 9]], np.array([8, 9]))
    assert spread_short > 2 * spread_long, "a tenth of the schedule says less than its end"


def test_what_is_like_a_running_trial_has_less_to_win():
    curves = [*whole_curves(), curve(8, 0.35, 2, runs=True)]
    alone = Forecast(curves)
    [before] = gains_of_points(alone, [{"lr": 0.351, "loss": "dice"}])
    [after] = gains_of_points(alone.believing([8]), [{"lr": 0.351, "loss": "dice"}])
    assert after < before


def test_a_failed_trial_teaches_but_its_score_is_not_the_one_to_beat():
    failed = Curve(**{**vars(curve(8, 0.3, EPOCHS - 1, noise=0.1)), "has_failed": True})
    without, with_it = Forecast(whole_curves()), Forecast([*whole_curves(), failed])
    assert with_it.best == without.best < max(failed.scores.values())
    near = [{"lr": 0.31, "loss": "dice"}]
    assert gains_of_points(with_it, near) > gains_of_points(without, near)


def test_a_point_near_one_that_cannot_be_trained_gains_less_than_its_like():
    bad = Curve(**{**vars(curve(8, 0.38, 0)), "is_infeasible": True})
    # Both would end alike, on either side of the best.
    points = [{"lr": 0.22, "loss": "dice"}, {"lr": 0.38, "loss": "dice"}]
    far, near = gains_of_points(Forecast(whole_curves()), points)
    far_then, near_then = gains_of_points(Forecast([*whole_curves(), bad]), points)
    assert near_then / far_then < 0.7 * near / far
    assert Forecast([*whole_curves(), bad]).best == Forecast(whole_curves()).best


def test_more_running_trials_than_the_model_has_places_break_nothing():
    curves = [curve(number, number / 300, 2, runs=number >= 100) for number in range(300)]
    forecast = Forecast(curves).believing(range(100, 300))
    assert np.isfinite(forecast.of_trials(range(300)).gains).all()


def test_a_trial_that_has_no_score_yet_is_believed_to_end_too():
    forecast = Forecast([*whole_curves(), curve(8, 0.35, 0, runs=True)])
    assert forecast.believing([8]) is not forecast
    assert forecast.believing([0]) is forecast, "a trial at its end is known"


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_the_unit_of_the_scores_does_not_matter(factor):
    def scaled(one):
        return Curve(**{**vars(one), "scores": {epoch: factor * score for epoch, score in one.scores.items()}})

    curves = [*whole_curves(), curve(8, 0.32, 3)]
    [gain], [same] = (
        Forecast(curves).of_trials([8]).gains,
        Forecast([scaled(one) for one in curves]).of_trials([8]).gains,
    )
    assert same == pytest.approx(factor * gain, rel=1e-4)


def test_curves_without_any_noise_break_nothing():
    """A step of the fit once left the numbers, and with them the positive definite matrices."""
    curves = [
        Curve(
            number=number,
            params={"lr": 0.1 * (number % 8), "loss": ("dice", "focal")[number % 2]},
            distributions={"lr": LR, "loss": LOSS},
            num_epochs=3,
            scores={epoch: (0.3 + 0.1 * (number % 4)) * share for epoch, share in ((1, 0.4), (2, 0.7), (3, 1.0))},
            runs=False,
        )
        for number in range(24)
    ]
    for count in range(4, 25):
        assert np.isfinite(Forecast(curves[:count]).of_trials(list(range(count))).gains).all()


def test_equal_scores_and_wild_ones_break_nothing():
    equal = [Curve(**{**vars(one), "scores": dict.fromkeys(one.scores, 0.5)}) for one in whole_curves()]
    assert np.isfinite(Forecast(equal).of_trials([0, 1]).gains).all()
    wild = [*whole_curves(), curve(8, 0.3, 1, noise=-1e12), curve(9, 0.3, 1, noise=-3.0)]
    assert np.isfinite(Forecast(wild).of_trials([8, 9]).gains).all()
    assert math.isfinite(Forecast(wild).noise)


def test_a_thousand_trials_are_thinned_to_the_best_and_some_others():
    random = np.random.default_rng(0)
    curves = [curve(number, float(random.uniform()), int(random.integers(1, 11))) for number in range(1000)]
    curves.append(curve(1000, 0.9, 1, runs=True))
    forecast = Forecast(curves)
    assert len(forecast._curves) == MOST_TRIALS
    kept = {one.number for one in forecast._curves}
    best = sorted(curves, key=lambda one: -one.best())[:50]
    assert {one.number for one in best} <= kept
    assert 1000 in kept, "a trial in a slot is never left out"
    left_out = next(one.number for one in curves if one.number not in kept)
    assert forecast.of_trials([left_out, best[0].number]).gains[0] == 0.0


@pytest.mark.parametrize(("num_trials", "num_epochs", "seconds"), [(64, 47, 1.0), (1000, 10, 5.0)])
def test_a_forecast_takes_no_longer_than_an_epoch_is_worth(num_trials, num_epochs, seconds):
    """The bounds are five and two and a half times those of the benchmark: this machine may be busy."""
    random = np.random.default_rng(0)
    curves = [curve(number, float(random.uniform()), num_epochs, of=num_epochs) for number in range(num_trials)]
    Forecast(curves)
    start = time.process_time()
    forecast = Forecast(curves)
    gains_of_points(forecast, [{"lr": float(lr), "loss": "dice"} for lr in random.uniform(size=400)])
    assert time.process_time() - start < 2 * seconds, "two cores"


def test_of_two_equal_promises_the_quicker_one_is_worth_more():
    slow, quick = (
        Curve(**{**vars(curve(number, 0.3, 5)), "seconds": seconds}) for number, seconds in ((8, 40), (9, 10))
    )
    promise = Forecast([*whole_curves(), slow, quick]).of_trials([8, 9])
    assert promise.gains[0] == pytest.approx(promise.gains[1])
    assert promise.worth[0] == pytest.approx(promise.worth[1] / 4**COST_WEIGHT)
    forecast = Forecast(
        [Curve(**{**vars(one), "seconds": 10.0 if one.params["loss"] == "dice" else 40.0}) for one in whole_curves()]
    )
    long, short = forecast.of_points([{"lr": 0.31, "loss": "dice"}] * 2, [4 * EPOCHS, EPOCHS]).worth
    assert long == pytest.approx(short / 4**COST_WEIGHT)
