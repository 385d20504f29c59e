"""Intervals, tests and chances of scores over seeds, against scipy and against made races whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from segray.results.significance import chances, clearly_worse, intervals

FIRST, SECOND = [0.52, 0.50, 0.53, 0.51], [0.49, 0.49, 0.51, 0.47]


def by_seed(**scores):
    return {trial: dict(enumerate(values, start=1)) for trial, values in scores.items()}


def test_two_trials_are_compared_by_a_paired_t_test():
    scores = by_seed(a=FIRST, b=SECOND)
    expected = stats.ttest_rel(FIRST, SECOND, alternative="greater").pvalue
    assert clearly_worse(scores, 0.05) == {"b": pytest.approx(expected)}
    assert clearly_worse(scores, expected / 2) == {}
    # With a flat prior the posterior chance of a single comparison is the p-value of the test.
    assert chances(scores) == pytest.approx({"a": 1 - expected, "b": expected}, abs=0.003)


def test_three_trials_share_a_variance_and_are_corrected_for_two_comparisons():
    cells = np.array([FIRST, SECOND, [0.50, 0.49, 0.52, 0.50]])
    residuals = cells - cells.mean(axis=1, keepdims=True) - cells.mean(axis=0) + cells.mean()
    error = np.sqrt(2 / 4 * (residuals**2).sum() / 6)
    expected = 2 * stats.t.sf((cells[0].mean() - cells[2].mean()) / error, 6)
    assert clearly_worse(by_seed(a=cells[0], b=cells[1], c=cells[2]), 1.0)["c"] == pytest.approx(expected)


def test_a_mean_has_a_t_interval_whose_variance_all_trials_share():
    low, high = stats.t.interval(0.95, 3, np.mean(FIRST), stats.sem(FIRST))
    assert intervals(by_seed(a=FIRST)) == {"a": pytest.approx((low, high))}
    several = intervals(by_seed(a=FIRST, b=SECOND, c=[0.4]))
    variance = (np.var(FIRST) + np.var(SECOND)) * 4 / 6
    assert several["c"][1] - 0.4 == pytest.approx(stats.t.ppf(0.975, 6) * np.sqrt(variance))


def test_one_seed_tells_nothing():
    scores = by_seed(a=[0.5], b=[0.4])
    assert (chances(scores), clearly_worse(scores, 0.5), intervals(scores)) == ({}, {}, {})


def test_one_trial_alone_is_the_best():
    assert chances(by_seed(a=[0.5])) == {"a": 1.0}
    assert clearly_worse(by_seed(a=[0.5, 0.6]), 0.5) == {}


def test_equal_scores_are_a_tie_and_constant_gaps_are_certain():
    # Three times 0.1 differs from 0.3 by rounding.
    tie = by_seed(a=[0.1 * 3, 0.3], b=[0.3, 0.1 * 3])
    assert clearly_worse(tie, 0.4) == {}
    assert chances(tie)["a"] == pytest.approx(0.5, abs=0.01)
    gap = by_seed(a=[0.5, 0.6], b=[0.4, 0.5])
    assert clearly_worse(gap, 0.001).keys() == {"b"}
    assert chances(gap) == {"a": 1.0, "b": 0.0}


def test_what_a_seed_does_to_all_trials_alike_is_no_noise():
    shared = np.array([0.0, 0.2, -0.1, 0.1])
    scores = by_seed(a=np.add(FIRST, shared), b=np.add(SECOND, shared))
    assert chances(scores) == pytest.approx(chances(by_seed(a=FIRST, b=SECOND)))


def test_trials_without_a_common_seed_are_compared_by_their_means():
    found = chances({"a": {1: 0.5, 2: 0.52}, "b": {3: 0.4, 4: 0.41}})
    assert found["a"] > 0.97


@pytest.mark.parametrize("means", [[0, 0, 0, 0], [0.5, 0, 0, -6]])
def test_the_true_best_is_sent_out_of_at_most_one_race_in_twenty(means):
    random, num_races, lost = np.random.default_rng(3), 200, 0
    for _ in range(num_races):
        cells = random.normal(0, 1, (4, 5)) + random.normal(0, 0.5, 5) + np.array(means)[:, None]
        lost += "0" not in survivors(cells)
    assert lost / num_races <= 0.05


def test_a_clear_order_is_seen_after_few_seeds():
    random = np.random.default_rng(4)
    kept = [survivors(random.normal(0, 1, (3, 3)) + np.array([[9.0], [0.0], [-1.0]])) for _ in range(50)]
    assert np.mean([names == ["0"] for names in kept]) > 0.9


def survivors(cells):
    """The trials left of a race with a look after each seed but the first."""
    names = [str(number) for number in range(len(cells))]
    for num_seeds in range(2, cells.shape[1] + 1):
        worse = clearly_worse({name: dict(enumerate(cells[int(name)][:num_seeds])) for name in names}, 0.01)
        names = [name for name in names if name not in worse]
        if len(names) == 1:
            break
    return names
