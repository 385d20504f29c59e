"""How much a belief favours points, and that it fades."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from segray.tuning.freeze_thaw.belief import LEAST, STRENGTH, Belief
from segray.tuning.freeze_thaw.encoding import Encoding

DISTRIBUTIONS = {"lr": FloatDistribution(1e-4, 1.0, log=True), "loss": CategoricalDistribution(("dice", "focal"))}
ENCODING = Encoding([DISTRIBUTIONS])
POINTS = [{"lr": 0.01, "loss": "dice"}, {"lr": 0.01, "loss": "focal"}, {"lr": 1.0, "loss": "focal"}]


def test_values_that_are_believed_alone_count_each_for_itself():
    belief = Belief(values={"lr": 0.01, "loss": "dice"})
    assert belief.weights(POINTS, ENCODING, int(STRENGTH)) == pytest.approx([1.0, LEAST, LEAST**2], rel=0.01)


def test_a_first_trial_is_believed_as_a_whole_however_many_keys_it_has():
    belief = Belief({"lr": 0.01, "loss": "dice"})
    assert belief.weights(POINTS, ENCODING, int(STRENGTH)) == pytest.approx([1.0, LEAST**0.5, LEAST], rel=0.01)


def test_a_belief_fades_with_each_trial_and_leaves_other_keys_open():
    belief = Belief(values={"loss": "dice"})
    weights = [belief.weights(POINTS, ENCODING, count)[1] for count in (4, 40, 400)]
    assert weights == pytest.approx([0.5, 0.5**0.1, 0.5**0.01])
    assert belief.weights(POINTS, ENCODING, 4)[2] == pytest.approx(0.5)
    for nothing in (Belief(values={"unseen": 3}), Belief()):
        assert nothing.weights(POINTS, ENCODING, 4) == pytest.approx([1.0, 1.0, 1.0])


def test_where_no_point_is_near_the_nearest_counts_whole():
    assert Belief(values={"loss": "dice"}).weights(POINTS[1:], ENCODING, 4) == pytest.approx([1.0, 1.0])
