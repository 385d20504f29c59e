"""Every model family and architecture: photos of any size in, finite logits and gradients out."""

import pytest
import torch

from segray.config import ModelConfig
from segray.models import MODELS, SegmentationModel, build_model, check_model
from segray.models.smp import ARCHITECTURES

NUM_CLASSES = 5
TINY_ENCODERS = {"DPT": "tu-test_vit"}
SMP_CONFIGS = [
    ModelConfig(arch=arch, encoder=TINY_ENCODERS.get(arch, "tu-test_efficientnet"), encoder_weights="none")
    for arch in ARCHITECTURES
]
CONFIGS = {"smp": SMP_CONFIGS}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=[one for family in CONFIGS.values() for one in family], ids=lambda one: f"{one.name}-{one.arch}")
def config(request) -> ModelConfig:
    return request.param


@pytest.fixture
def model(config) -> SegmentationModel:
    return build_model(config, NUM_CLASSES)


def photos(height: int, width: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)


def test_every_family_is_tested():
    assert set(CONFIGS) == set(MODELS)


def test_check_passes(config):
    check_model(config)


def test_trains_at_an_odd_size(model):
    # PAN pools its coarsest map three times, which takes more than 112 px a side.
    logits_BCHW = model.train()(photos(131, 149))
    assert logits_BCHW.shape == (2, NUM_CLASSES, 131, 149)
    assert logits_BCHW.isfinite().all()

    (logits_BCHW * torch.randn_like(logits_BCHW)).mean().backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert next(p for p in model.parameters()).grad.abs().sum() > 0, "the first layer must learn"


def test_one_channels_last_photo_gives_the_same_logits(model):
    model.eval()
    batch_BCHW = photos(128, 160, batch=1)
    with torch.no_grad():
        plain = model(batch_BCHW)
        fast = model.to(memory_format=torch.channels_last)(batch_BCHW.to(memory_format=torch.channels_last))
    assert plain.shape == (1, NUM_CLASSES, 128, 160)
    torch.testing.assert_close(fast, plain, rtol=1e-3, atol=1e-4)
