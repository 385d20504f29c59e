"""With several objectives, early stopping spares trials that no other one dominates."""

import pytest

from segray.goals import DEFAULT_GOALS, find_goals
from segray.tuning.run.rivals import Rivals


@pytest.fixture
def rivals():
    return Rivals(find_goals(["val_miou", "latency_ms"]))


def test_a_slower_and_worse_trial_may_stop_and_a_faster_one_may_not(rivals):
    rivals.add("0000", 0.5, 0.6, {"latency_ms": 20.0})
    rivals.add("0001", 0.5, 0.5, {"latency_ms": 30.0})
    rivals.add("0002", 0.5, 0.4, {"latency_ms": 10.0})
    assert [rivals.may_stop(trial) for trial in ("0000", "0001", "0002")] == [False, True, False]


def test_a_trial_is_compared_with_others_where_they_were_at_its_share(rivals):
    rivals.add("0000", 0.25, 0.3, {"latency_ms": 20.0})
    rivals.add("0000", 1.0, 0.7, {"latency_ms": 20.0})
    rivals.add("0001", 0.5, 0.4, {"latency_ms": 30.0})
    assert not rivals.may_stop("0001")
    rivals.add("0002", 0.5, 0.2, {"latency_ms": 30.0})
    assert rivals.may_stop("0002")


def test_with_one_objective_the_scheduler_decides_alone():
    rivals = Rivals(DEFAULT_GOALS)
    rivals.add("0000", 0.5, 0.6, {})
    assert rivals.may_stop("0000")
    assert Rivals(find_goals(["val_miou", "params"])).may_stop("0007")
