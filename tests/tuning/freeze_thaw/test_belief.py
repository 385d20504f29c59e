"""How much a belief favours points, and that it fades."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from segray.tuning.freeze_thaw.belief import LEAST, STRENGTH, belief_weights
from segray.tuning.freeze_thaw.encoding import Encoding

DISTRIBUTIONS = {"lr": FloatDistribution(1e-4, 1.0, log=True), "loss": CategoricalDistribution(("dice", "focal"))}
ENCODING = Encoding([DISTRIBUTIONS])
POINTS = [{"lr": 0.01, "loss": "dice"}, {"lr": 0.01, "loss": "focal"}, {"lr": 1.0, "loss": "focal"}]


def test_the_believed_point_is_favoured_and_each_other_value_costs_half():
    weights = belief_weights({"lr": 0.01, "loss": "dice"}, POINTS, ENCODING, int(STRENGTH))
    assert weights == pytest.approx([1.0, LEAST, LEAST**2], rel=0.01)


def test_a_belief_fades_with_each_trial_and_leaves_other_keys_open():
    weights = [belief_weights({"loss": "dice"}, POINTS, ENCODING, count)[1] for count in (4, 40, 400)]
    assert weights == pytest.approx([0.5, 0.5**0.1, 0.5**0.01])
    assert belief_weights({"loss": "dice"}, POINTS, ENCODING, 4)[2] == pytest.approx(0.5)
    assert belief_weights({"unseen": 3}, POINTS, ENCODING, 4) == pytest.approx([1.0, 1.0, 1.0])
