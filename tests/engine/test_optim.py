import math

import pytest
from torch import nn

from segray.config import OptimConfig
from segray.engine.optim import build_optimizer, build_schedule
from segray.errors import ConfigError


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def rates(config, *, epochs, steps_per_epoch):
    """The rate at every step, and after the last one."""
    optimizer = build_optimizer(network(), config)
    schedule = build_schedule(optimizer, config, epochs=epochs, steps_per_epoch=steps_per_epoch)
    values = [schedule.get_last_lr()[0]]
    for _ in range(epochs * steps_per_epoch):
        optimizer.step()
        schedule.step()
        values.append(schedule.get_last_lr()[0])
    return values


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_biases_and_normalisation_are_not_decayed(name):
    model = network()
    optimizer = build_optimizer(model, OptimConfig(name=name, weight_decay=0.1))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {key: decay[id(p)] for key, p in model.named_parameters()} == {
        "0.weight": 0.1,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
    }


def test_frozen_parameters_are_left_out():
    model = network()
    model[0].requires_grad_(False)
    trained = [p for group in build_optimizer(model, OptimConfig()).param_groups for p in group["params"]]
    assert [id(p) for p in trained] == [id(p) for p in model[1].parameters()]


def test_sgd_takes_the_configured_momentum_under_onecycle():
    config = OptimConfig(name="sgd", momentum=0.7)
    optimizer = build_optimizer(network(), config)
    schedule = build_schedule(optimizer, config, epochs=2, steps_per_epoch=5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["momentum"] == 0.7


def test_cosine_falls_from_the_peak_to_zero():
    values = rates(OptimConfig(lr=0.1, schedule="cosine"), epochs=2, steps_per_epoch=4)
    assert values == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 8)) for step in range(9)])
    assert values[-1] == 0


def test_poly_falls_from_the_peak_to_zero():
    values = rates(OptimConfig(lr=0.1, schedule="poly", poly_power=2), epochs=1, steps_per_epoch=4)
    assert values == pytest.approx([0.1 * (1 - step / 4) ** 2 for step in range(5)])
    assert values[-1] == 0


def test_constant_stays():
    assert set(rates(OptimConfig(lr=0.1, schedule="constant"), epochs=2, steps_per_epoch=2)) == {0.1}


def test_onecycle_starts_low_peaks_at_the_rate_and_ends_near_zero():
    values = rates(OptimConfig(lr=0.1), epochs=10, steps_per_epoch=10)
    assert values[0] == pytest.approx(0.1 / 25)
    assert max(values) == pytest.approx(0.1, rel=1e-2)
    assert values[-1] == pytest.approx(0.1 / 25e4)


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant"])
def test_warm_up_rises_in_equal_parts_to_the_peak(schedule):
    values = rates(OptimConfig(lr=0.1, schedule=schedule, warmup_epochs=1), epochs=3, steps_per_epoch=4)
    assert values[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert max(values) == values[4]


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant", "onecycle"])
def test_a_run_of_one_step_trains_at_a_useful_rate(schedule):
    values = rates(OptimConfig(lr=0.1, schedule=schedule), epochs=1, steps_per_epoch=1)
    assert 0.05 < values[0] <= 0.1


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant"])
def test_a_warm_up_that_rounds_up_to_the_whole_run_leaves_its_last_step(schedule):
    values = rates(OptimConfig(lr=0.1, schedule=schedule, warmup_epochs=0.9), epochs=1, steps_per_epoch=2)
    assert values[:2] == pytest.approx([0.05, 0.1])


def test_a_warm_up_as_long_as_the_run_is_refused():
    with pytest.raises(ConfigError, match=r"warmup_epochs.*below.*got 3 of 3"):
        rates(OptimConfig(schedule="poly", warmup_epochs=3), epochs=3, steps_per_epoch=4)
