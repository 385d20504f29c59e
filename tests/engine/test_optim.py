import math

import pytest
import torch
from torch import nn

from segray.config import ModelConfig, OptimConfig
from segray.engine.optim import build_optimizer, build_schedule, check_l2
from segray.errors import ConfigError
from segray.models import meta_model


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def rates(config, *, epochs, steps_per_epoch):
    """Return the learning rate at every step, and after the last one."""
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


def two_layers():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.ModuleDict({"encoder": encoder, "decoder": nn.Conv2d(4, 2, 1)})


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("decoder.", {"decoder.weight"}),
        ("decod", {"decoder.weight"}),
        ("encoder", {"encoder.0.weight"}),
        (r".*\.weight$", {"decoder.weight", "encoder.0.weight"}),
        ("", {"decoder.weight", "encoder.0.weight"}),
    ],
)
def test_l2_holds_for_kernels_whose_names_start_so(pattern, names):
    assert check_l2(two_layers(), OptimConfig(name="adam", l2=0.1, l2_layers=pattern)) == names


def test_l2_on_the_decoder_of_an_fcn_holds_for_its_scores_and_transposed_convolutions():
    model = meta_model(ModelConfig(name="fcn8s", encoder="vgg16"))
    names = check_l2(model, OptimConfig(name="adam", l2=1e-3, l2_layers="network.decoder."))
    kernels = {name for name, p in model.named_parameters() if "decoder" in name and p.ndim == 4}
    assert names == kernels
    assert len(names) == 6


def test_l2_is_a_group_of_its_own_on_top_of_weight_decay():
    model = two_layers()
    config = OptimConfig(name="adam", l2=0.1, l2_layers="decoder.", weight_decay=0.01)
    optimizer = build_optimizer(model, config)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in model.named_parameters()} == {
        "encoder.0.weight": 0.01,
        "encoder.0.bias": 0.0,
        "encoder.1.weight": 0.0,
        "encoder.1.bias": 0.0,
        "decoder.weight": pytest.approx(0.21),
        "decoder.bias": 0.0,
    }


def train(optim, penalty):
    """Train three steps on two photos, with the penalty in the loss; return the parameters by name."""
    model = two_layers()
    optimizer = build_optimizer(model, optim)
    photos_BCHW = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        logits_BCHW = model["decoder"](model["encoder"](photos_BCHW))
        (logits_BCHW[:, 0].exp().mean() + penalty * model["decoder"].weight.square().sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return dict(model.named_parameters())


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_l2_trains_like_the_sum_of_squares_in_the_loss(name):
    got = train(OptimConfig(name=name, lr=0.01, l2=0.3, l2_layers="decoder.", weight_decay=0), penalty=0)
    expected = train(OptimConfig(name=name, lr=0.01, weight_decay=0), penalty=0.3)
    without = train(OptimConfig(name=name, lr=0.01, weight_decay=0), penalty=0)
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value)
    assert not torch.allclose(got["decoder.weight"], without["decoder.weight"], rtol=1e-3)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("decodr.", r"unknown optim\.l2_layers 'decodr\.'; did you mean 'decoder'"),
        ("network.decoder", r"did you mean 'decoder'.*; it must match the start of a trainable kernel's name"),
        ("xyz", r"choose from decoder, decoder\.weight, encoder, encoder\.0, encoder\.0\.weight;"),
        ("decoder.bias", r"unknown optim\.l2_layers 'decoder\.bias'"),
        ("(decoder", r"optim\.l2_layers must be a regular expression, but got '\(decoder': missing \)"),
    ],
)
def test_l2_for_no_kernel_is_refused(pattern, message):
    with pytest.raises(ConfigError, match=message):
        build_optimizer(two_layers(), OptimConfig(name="sgd", l2=0.1, l2_layers=pattern))


def test_l2_for_frozen_kernels_is_refused():
    model = two_layers()
    model["decoder"].requires_grad_(False)
    with pytest.raises(ConfigError, match="the start of a trainable kernel's name"):
        build_optimizer(model, OptimConfig(name="adam", l2=0.1, l2_layers="decoder."))


def test_l2_with_adamw_is_refused():
    with pytest.raises(ConfigError, match=r"optim\.l2 needs optim\.name adam or sgd.* got l2=0.1 with adamw"):
        build_optimizer(two_layers(), OptimConfig(name="adamw", l2=0.1))


def test_without_l2_its_layers_do_not_matter():
    optimizer = build_optimizer(two_layers(), OptimConfig(name="adamw", l2_layers="decodr."))
    assert len(optimizer.param_groups) == 2


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


def test_linear_holds_the_peak_for_half_the_run_and_falls_evenly_to_zero():
    values = rates(OptimConfig(lr=0.1, schedule="linear"), epochs=2, steps_per_epoch=4)
    assert values == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.1, 0.075, 0.05, 0.025, 0])


@pytest.mark.parametrize("schedule", ["cosine", "poly", "linear"])
def test_schedules_end_at_the_final_rate(schedule):
    values = rates(OptimConfig(lr=0.1, schedule=schedule, final_lr=0.02), epochs=2, steps_per_epoch=4)
    assert values[0] == pytest.approx(0.1)
    assert values[-1] == pytest.approx(0.02)
    assert values == sorted(values, reverse=True)


def test_a_final_rate_above_the_peak_is_refused():
    with pytest.raises(ConfigError, match=r"final_lr must be at most optim\.lr, but got 0\.2 with 0\.1"):
        rates(OptimConfig(lr=0.1, schedule="cosine", final_lr=0.2), epochs=1, steps_per_epoch=2)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_takes_the_configured_betas(name):
    config = OptimConfig(name=name, beta1=0.5, beta2=0.9, schedule="constant")
    optimizer = build_optimizer(network(), config)
    build_schedule(optimizer, config, epochs=1, steps_per_epoch=2)
    assert {group["betas"] for group in optimizer.param_groups} == {(0.5, 0.9)}


def test_constant_stays():
    assert set(rates(OptimConfig(lr=0.1, schedule="constant"), epochs=2, steps_per_epoch=2)) == {0.1}


def test_onecycle_starts_low_peaks_at_the_rate_and_ends_near_zero():
    values = rates(OptimConfig(lr=0.1), epochs=10, steps_per_epoch=10)
    assert values[0] == pytest.approx(0.1 / 25)
    assert max(values) == pytest.approx(0.1, rel=1e-2)
    assert values[-1] == pytest.approx(0.1 / 25e4)


@pytest.mark.parametrize("schedule", ["cosine", "poly", "linear", "constant"])
def test_warm_up_rises_in_equal_parts_to_the_peak(schedule):
    values = rates(OptimConfig(lr=0.1, schedule=schedule, warmup_epochs=1), epochs=3, steps_per_epoch=4)
    assert values[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert max(values) == values[4]


@pytest.mark.parametrize("schedule", ["cosine", "poly", "linear", "constant", "onecycle"])
def test_a_run_of_one_step_trains_at_a_useful_rate(schedule):
    values = rates(OptimConfig(lr=0.1, schedule=schedule), epochs=1, steps_per_epoch=1)
    assert 0.05 < values[0] <= 0.1


@pytest.mark.parametrize("schedule", ["cosine", "poly", "linear", "constant"])
def test_a_warm_up_that_rounds_up_to_the_whole_run_leaves_its_last_step(schedule):
    values = rates(OptimConfig(lr=0.1, schedule=schedule, warmup_epochs=0.9), epochs=1, steps_per_epoch=2)
    assert values[:2] == pytest.approx([0.05, 0.1])


def test_a_warm_up_as_long_as_the_run_is_refused():
    with pytest.raises(ConfigError, match=r"warmup_epochs.*below.*got 3 of 3"):
        rates(OptimConfig(schedule="poly", warmup_epochs=3), epochs=3, steps_per_epoch=4)
