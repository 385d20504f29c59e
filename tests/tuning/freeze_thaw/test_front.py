"""The expected gain over a front, against hypervolumes that are counted by hand or by chance."""

import math

import numpy as np
import pytest

from segray.tuning.freeze_thaw.front import BEYOND, MOST_BOXES, Front


def improvement(mean, spread, best):
    z = (mean - best) / spread
    return spread * (z * 0.5 * (1 + math.erf(z / math.sqrt(2))) + math.exp(-z * z / 2) / math.sqrt(2 * math.pi))


def test_without_costs_it_is_the_expected_improvement_over_the_best_score():
    front = Front(np.array([0.3, 0.5, -math.inf]), np.zeros((3, 0)))
    gains, volumes = front.gain(np.array([0.45, 0.6]), np.array([0.1, 0.02]), np.zeros((2, 0)))
    assert gains == pytest.approx([improvement(0.45, 0.1, 0.5), improvement(0.6, 0.02, 0.5)])
    assert volumes == pytest.approx(gains)


def volume(front, mean, spread, costs):
    return front.gain(mean, spread, costs)[1]


def test_a_certain_result_adds_the_hypervolume_that_it_covers():
    # Costs 1 and 3 become 0 and 1. A score of 0.6 at cost 2 is 0.2 over the cheap trial, up to the cost of the other,
    # which has more, and beyond which nothing is gained.
    front = Front(np.array([0.4, 0.7]), np.array([[1.0], [3.0]]))
    certain = np.array([1e-9])
    assert volume(front, np.array([0.6]), certain, np.array([[2.0]])) == pytest.approx(0.2 * 0.5)
    assert volume(front, np.array([0.8]), certain, np.array([[2.0]])) == pytest.approx(0.4 * 0.5 + 0.1 * (BEYOND - 1))
    assert volume(front, np.array([0.4]), certain, np.array([[2.0]])) == pytest.approx(0, abs=1e-8)
    # The best score counts, though it costs more than any trial so far.
    assert volume(front, np.array([0.9]), certain, np.array([[9.0]])) == pytest.approx(0.2 * (BEYOND - 1))
    # As good as the cheap trial, and cheaper: the lowest score is the bar there, which it does not pass.
    assert volume(front, np.array([0.5]), certain, np.array([[0.0]])) == pytest.approx(0.1 * 0.5 + 0.1 * 1.0)


def test_with_two_costs_it_agrees_with_chance():
    random = np.random.default_rng(0)
    scores, costs = random.uniform(0.2, 0.6, 6), random.uniform(0, 1, (6, 2))
    costs[0], costs[1] = (0.0, 1.0), (1.0, 0.0)
    front, cost = Front(scores, costs), np.array([0.3, 0.4])
    places = random.uniform(cost, BEYOND, (4000, 2))
    reached = (costs[None] <= places[:, None]).all(axis=-1)
    bars = np.maximum(np.where(reached, scores, -math.inf).max(axis=1), scores.min())
    expected = np.mean([improvement(0.5, 0.1, bar) for bar in bars]) * np.prod(BEYOND - cost)
    found = volume(front, np.array([0.5]), np.array([0.1]), cost[None])
    assert found == pytest.approx(expected, rel=0.03)


def test_a_trial_without_known_costs_bars_no_other():
    known = Front(np.array([0.4, 0.5]), np.array([[1.0], [2.0]]))
    more = Front(np.array([0.4, 0.5, 0.9]), np.array([[1.0], [2.0], [math.nan]]))
    asked = (np.array([0.6]), np.array([0.1]), np.array([[1.5]]))
    assert volume(more, *asked) == pytest.approx(volume(known, *asked))


def test_a_gain_of_score_is_that_over_the_bar_which_is_easiest_to_pass():
    front = Front(np.array([0.4, 0.7]), np.array([[1.0], [3.0]]))
    cheap, dear = front.gain(np.array([0.6, 0.8]), np.array([1e-9, 1e-9]), np.array([[2.0], [9.0]]))[0]
    assert (cheap, dear) == pytest.approx((0.2, 0.1))
    # A cost that is predicted a little below all others passes the lowest bar, but nearly nowhere.
    assert front.gain(np.array([0.5]), np.array([1e-9]), np.array([[0.99]]))[0] == pytest.approx(0.1)


def test_outliers_leave_room_for_the_others():
    costs = np.array([[1.0], [2.0], [3.0], [1000.0]])
    front = Front(np.array([0.3, 0.4, 0.5, -1e4]), costs)
    plain = Front(np.array([0.3, 0.4, 0.5]), costs[:3])
    asked = (np.array([0.6]), np.array([0.01]), np.array([[0.5]]))
    assert volume(front, *asked) < 3 * volume(plain, *asked)


def test_many_costs_make_no_endless_number_of_boxes():
    random = np.random.default_rng(1)
    front = Front(random.uniform(size=50), random.uniform(size=(50, 4)))
    assert len(front._bars) <= MOST_BOXES
