"""Goals: which objectives and constraints are taken, what they ask of a trial, and which points dominate others."""

import pytest

from segray.errors import ConfigError
from segray.goals import find_goals


def test_goals_ask_for_each_property_once():
    goals = find_goals(["val_miou", "latency_ms"], ["latency_ms <= 30", "params<2e7"])
    assert (goals.main.name, [other.name for other in goals.others]) == ("val_miou", ["latency_ms"])
    assert goals.properties == ("latency_ms", "params")
    assert list(map(str, goals.constraints)) == ["latency_ms <= 30", "params < 20000000"]


@pytest.mark.parametrize(
    ("objectives", "constraints", "message"),
    [
        ([], [], "needs an objective"),
        ("val_miou", [], r"must be a list, such as \['val_miou'\]"),
        (["latency_ms", "val_miou"], [], "first --objective must be a score of the validation"),
        (["val_miou", "val_miou"], [], "names val_miou twice"),
        (["val_miou", "latency"], [], "unknown --objective 'latency'; did you mean 'latency_ms'"),
        (["val_miou"], ["latency_ms"], "must be PROPERTY <= NUMBER"),
        (["val_miou"], ["latency_ms = 30"], "must be PROPERTY <= NUMBER"),
        (["val_miou"], ["parms <= 3"], "unknown property in --constraint 'parms'; did you mean 'params'"),
        (["val_miou"], ["val_miou >= 0.5"], "make it an --objective"),
        (["val_miou"], ["params <= many"], "must bound params by a number"),
        (["val_miou"], ["params <= inf"], "must bound params by a number"),
    ],
)
def test_goals_that_cannot_work_are_refused(objectives, constraints, message):
    with pytest.raises(ConfigError, match=message):
        find_goals(objectives, constraints)


@pytest.mark.parametrize(
    ("relation", "met", "broken"), [("<=", 30, 30.1), ("<", 29.9, 30), (">=", 30, 29.9), (">", 30.1, 30)]
)
def test_a_broken_constraint_is_told_with_the_value(relation, met, broken):
    goals = find_goals(["val_miou"], [f"latency_ms {relation} 30"])
    assert goals.broken({"latency_ms": met}) == goals.broken({}) == goals.broken({"latency_ms": None}) == ""
    assert goals.broken({"latency_ms": broken}).startswith(f"latency_ms must be {relation} 30\u00a0ms, but is ")


def test_a_point_dominates_if_it_is_nowhere_worse_and_somewhere_better():
    goals = find_goals(["val_miou", "latency_ms"])
    assert goals.dominates((0.6, 20.0), (0.5, 20.0))
    assert not goals.dominates((0.6, 20.0), (0.6, 20.0))
    assert not goals.dominates((0.6, 30.0), (0.5, 20.0))
    # A latency that is not known is worse than all others.
    assert goals.dominates((0.5, 90.0), (0.5, None))
