"""How well early scores tell the end: the right numbers on curves whose ranks are known."""

import math

import pytest

from segray.results.agreement import agreements, first_rung

SHARES = (0.25, 0.5, 0.75)


def curve(*scores):
    """A curve of scores at every quarter of the schedule."""
    return dict(zip((0.25, 0.5, 0.75, 1.0), scores, strict=True))


def test_equal_ranks_agree_wholly_and_opposite_ones_not_at_all():
    curves = [curve(1 - 0.1 * number, 2 + 0.1 * number, 2 + 0.1 * number, 3 + number) for number in range(10)]
    found = agreements(curves, SHARES)
    assert [one.correlation for one in found] == pytest.approx([-1.0, 1.0, 1.0])
    # The one trial of the top tenth is last at first, then first.
    assert [one.top_lost for one in found] == [1.0, 0.0, 0.0]


def test_the_first_rung_is_where_ranks_agree_from_then_on():
    turned_round = [curve(number, 10 - number, 20 + number, 30 + number) for number in range(6)]
    assert first_rung(turned_round, 0.8, SHARES) == 0.75
    assert first_rung([curve(number, number, number, number) for number in range(6)], 0.8, SHARES) == 0.25
    assert first_rung([curve(0, 0, 10 - number, 20 + number) for number in range(6)], 0.8, SHARES) == 1.0


def test_a_share_before_a_trials_first_epoch_says_nothing():
    short = [{0.5: number, 1.0: number} for number in range(5)]
    [early, half, _] = agreements(short, SHARES)
    assert math.isnan(early.correlation)
    assert half.correlation == pytest.approx(1.0)


def test_equal_scores_have_no_ranks():
    assert math.isnan(agreements([curve(0.5, 0.5, 0.5, 0.5)] * 4, SHARES)[0].correlation)
