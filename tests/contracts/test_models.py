"""Every model family and architecture: finite logits and gradients for photos of any size."""

import pytest
import segmentation_models_pytorch as smp
import torch
from every_model import ALL_CONFIGS, CONFIGS, GENERATORS, NUM_CLASSES, OWN_CONFIGS, SMP_CONFIGS, build, name_of

from segray.config import ModelConfig
from segray.models import MODELS, SegmentationModel, check_model

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture(params=ALL_CONFIGS, ids=name_of)
def config(request) -> ModelConfig:
    return request.param


@pytest.fixture
def model(config) -> SegmentationModel:
    return build(config)


def photos(height: int, width: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)


def test_every_family_is_tested():
    assert set(CONFIGS) == set(MODELS)


def test_check_passes(config):
    check_model(config)


def test_trains_at_an_odd_size(model):
    logits_BCHW = model.train()(photos(131, 149))
    assert logits_BCHW.shape == (2, NUM_CLASSES, 131, 149)
    assert logits_BCHW.isfinite().all()

    (logits_BCHW * torch.randn_like(logits_BCHW)).mean().backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert next(p for p in model.parameters()).grad.abs().sum() > 0, "the first layer must learn"


@pytest.mark.parametrize("config", SMP_CONFIGS, ids=name_of)
def test_an_smp_network_has_the_parameters_of_smps_own(config):
    theirs = smp.create_model(config.arch, config.encoder, encoder_weights=None, classes=NUM_CLASSES)
    count = sum(parameter.numel() for parameter in build(config).parameters())
    assert count == sum(parameter.numel() for parameter in theirs.parameters())


# SMP leaves some parameters of its encoders unused.
@pytest.mark.parametrize("config", OWN_CONFIGS, ids=name_of)
def test_every_parameter_learns(config):
    model = build(config).train()
    logits_BCHW = model(photos(64, 64))
    (logits_BCHW * torch.randn_like(logits_BCHW)).mean().backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=name_of)
@pytest.mark.parametrize("size_px", [(1, 1), (7, 200), (33, 31)])
def test_one_small_photo_is_segmented(config, size_px):
    with torch.no_grad():
        logits_BCHW = build(config, num_classes=1).eval()(photos(*size_px, batch=1))
    assert logits_BCHW.shape == (1, 1, *size_px)
    assert logits_BCHW.isfinite().all()


@pytest.mark.parametrize("config", GENERATORS, ids=name_of)
@pytest.mark.parametrize("size_px", [(1, 1), (7, 200), (33, 31)])
def test_a_generator_trains_on_one_photo_of_any_size(config, size_px):
    model = build(config).train()
    logits_BCHW = model(photos(*size_px, batch=1))
    assert logits_BCHW.shape == (1, NUM_CLASSES, *size_px)
    logits_BCHW.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_state_dict_makes_another_model_the_same(config, model):
    torch.manual_seed(1)
    other = build(config)
    other.load_state_dict(model.state_dict())
    batch_BCHW = photos(128, 128, batch=1)
    with torch.no_grad():
        assert torch.equal(other.eval()(batch_BCHW), model.eval()(batch_BCHW))


def test_one_channels_last_photo_gives_the_same_logits(model):
    model.eval()
    batch_BCHW = photos(128, 160, batch=1)
    with torch.no_grad():
        plain = model(batch_BCHW)
        fast = model.to(memory_format=torch.channels_last)(batch_BCHW.to(memory_format=torch.channels_last))
    assert plain.shape == (1, NUM_CLASSES, 128, 160)
    torch.testing.assert_close(fast, plain, rtol=1e-3, atol=1e-4)
