"""Every model family and architecture: photos of any size in, finite logits and gradients out."""

import pytest
import torch

from segray.config import FcnConfig, GeneratorConfig, ModelConfig, UnetConfig
from segray.labels import distinct_colors
from segray.models import MODELS, SegmentationModel, build_model, check_model
from segray.models.smp import ARCHITECTURES

pytestmark = pytest.mark.usefixtures("seeded")

NUM_CLASSES = 5
TINY_ENCODERS = {"DPT": "tu-test_vit"}
SMP_CONFIGS = [
    ModelConfig(arch=arch, encoder=TINY_ENCODERS.get(arch, "tu-test_efficientnet"), encoder_weights="none")
    for arch in ARCHITECTURES
]
FCN_CONFIGS = [
    ModelConfig(
        name="fcn8s", encoder=encoder, encoder_weights="none", fcn=FcnConfig(output_stride=stride, head_width=8)
    )
    for encoder, stride in (("vgg16", 8), ("vgg16_bn", 8), ("vgg16_bn", 16), ("vgg16_bn", 32))
]
UNET_CONFIGS = [
    ModelConfig(
        name="unet",
        unet=UnetConfig(widths=(4, 6, 8), convolutions=(1, 2, 3), decoder_widths=(6, 4), batch_norm=batch_norm),
    )
    for batch_norm in (False, True)
]
SMALL_GENERATOR = GeneratorConfig(width=4, depth=4, num_blocks=2)
GENERATOR_CONFIGS = {
    name: [ModelConfig(name=name, output=output, generator=SMALL_GENERATOR) for output in ("logits", "rgb")]
    for name in ("pix2pix", "unet_instance_norm", "resnet")
}
GENERATORS = [one for family in GENERATOR_CONFIGS.values() for one in family]
LOGIT_CONFIGS = {"smp": SMP_CONFIGS, "fcn8s": FCN_CONFIGS, "unet": UNET_CONFIGS}
CONFIGS = {
    name: [*configs, configs[0].model_copy(update={"output": "rgb"})] for name, configs in LOGIT_CONFIGS.items()
} | GENERATOR_CONFIGS
# SMP leaves some parameters of its encoders unused, and its PAN pools small photos to nothing.
OWN_CONFIGS = [one for name, family in CONFIGS.items() if name != "smp" for one in family]


def name_of(config: ModelConfig) -> str:
    parts = {
        "smp": [config.arch],
        "fcn8s": [config.encoder, str(config.fcn.output_stride)],
        "unet": ["batch_norm"] if config.unet.batch_norm else [],
    }.get(config.name, [])
    return "-".join([config.name, *parts, *(["rgb"] if config.output == "rgb" else [])])


def build(config: ModelConfig, num_classes: int = NUM_CLASSES) -> SegmentationModel:
    return build_model(config, num_classes, palette=distinct_colors(num_classes))


@pytest.fixture(params=[one for family in CONFIGS.values() for one in family], ids=name_of)
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
    # PAN pools its coarsest map three times, which takes more than 112 px a side.
    logits_BCHW = model.train()(photos(131, 149))
    assert logits_BCHW.shape == (2, NUM_CLASSES, 131, 149)
    assert logits_BCHW.isfinite().all()

    (logits_BCHW * torch.randn_like(logits_BCHW)).mean().backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert next(p for p in model.parameters()).grad.abs().sum() > 0, "the first layer must learn"


@pytest.mark.parametrize("config", OWN_CONFIGS, ids=name_of)
def test_every_parameter_learns(config):
    model = build(config).train()
    logits_BCHW = model(photos(64, 64))
    (logits_BCHW * torch.randn_like(logits_BCHW)).mean().backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


@pytest.mark.parametrize("config", OWN_CONFIGS, ids=name_of)
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
