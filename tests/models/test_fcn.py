"""FCN on VGG-16: parameters against published counts, initial weights, and weights of torchvision, timm and SMP."""

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from segmentation_models_pytorch.encoders import get_encoder
from torch import nn

from segray.config import FcnConfig, ModelConfig
from segray.errors import ConfigError
from segray.models import build_model, check_model, resolve_encoder_weights
from segray.models.meta import without_memory
from segray.models.vgg import Vgg16, start_he

WIDTH = 4
"""Channels of fc6 and fc7, few so that the tests are quick."""


def fcn(encoder="vgg16", weights="none", classes=3, **options):
    fcn_config = FcnConfig(**{"head_width": WIDTH} | options)
    config = ModelConfig(name="fcn8s", encoder=encoder, encoder_weights=str(weights), fcn=fcn_config)
    return build_model(config, classes)


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("encoder", ["vgg16", "vgg16_bn"])
def test_the_encoder_has_the_parameters_of_vgg_16_without_its_last_layer(encoder):
    with without_memory():
        published = torchvision.models.get_model(encoder)
        ours = fcn(encoder, head_width=4096).network.encoder
    assert num_parameters(ours) == num_parameters(published) - num_parameters(published.classifier[-1])
    if encoder == "vgg16":
        assert num_parameters(ours) == 138_357_544 - 1000 * 4097, "VGG-16 has 138 M: Simonyan and Zisserman, table 2"


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_the_fcn_of_21_classes_has_the_published_134_million(stride):
    classes, channels, kernels = 21, [4096], [2 * stride]
    if stride <= 16:
        channels, kernels = [*channels, 512], [*kernels, 4]
    if stride <= 8:
        channels, kernels = [*channels, 256], [*kernels, 4]
    vgg = 138_357_544 - 1000 * 4097
    scores = sum((channel + 1) * classes for channel in channels)
    upsampling = sum(classes * classes * kernel * kernel for kernel in kernels)
    with without_memory():
        model = fcn(head_width=4096, classes=classes, output_stride=stride)
    assert num_parameters(model) == vgg + scores + upsampling
    # Long et al., table 1, does not count the upsampling, which is fixed interpolation there.
    assert (num_parameters(model) - upsampling) // 10**6 == 134


def test_maps_are_those_of_torchvision_s_vgg():
    theirs = torchvision.models.vgg16(weights=None, num_classes=1, init_weights=False).features.eval()
    ours = Vgg16(batch_norm=False, head_width=WIDTH, dropout=0.5).eval()
    ours.features.load_state_dict(theirs.state_dict())
    inputs_BCHW = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        pool3_BCHW, pool4_BCHW, layer7_BCHW = ours(inputs_BCHW)
        torch.testing.assert_close(pool3_BCHW, theirs[:17](inputs_BCHW))
        torch.testing.assert_close(pool4_BCHW, theirs[:24](inputs_BCHW))
    assert layer7_BCHW.shape == (1, WIDTH, 2, 3)


@pytest.mark.parametrize(("stride", "num_layers"), [(8, 3), (16, 2), (32, 1)])
def test_upsampling_starts_as_bilinear_interpolation_of_each_class(stride, num_layers):
    decoder = fcn(output_stride=stride).network.decoder
    layers = [*decoder.doublings, decoder.upsampling]
    assert len(layers) == num_layers
    for layer in layers:
        factor = layer.stride[0]
        scores_BCHW = torch.randn(1, 3, 6, 8)
        expected = F.interpolate(scores_BCHW, scale_factor=factor, mode="bilinear", align_corners=False)
        # At the border, interpolation repeats the last value, and the convolution adds zeros.
        inner = (..., slice(factor, -factor), slice(factor, -factor))
        torch.testing.assert_close(layer(scores_BCHW)[inner], expected[inner])


def test_scores_start_as_a_truncated_normal():
    decoder = fcn(classes=200, score_std=0.02).network.decoder
    for score in (decoder.score7, *decoder.scores):
        assert score.weight.abs().max() <= 0.04
        assert not score.bias.any()
    # A normal distribution cut at two standard deviations has 0.88 of its standard deviation left.
    assert decoder.scores[0].weight.std().item() == pytest.approx(0.88 * 0.02, rel=0.02)


def test_dropout_acts_in_training_alone():
    vgg = Vgg16(batch_norm=False, head_width=64, dropout=0.5)
    inputs_BCHW = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(vgg.train()(inputs_BCHW)[2], vgg(inputs_BCHW)[2])
        assert torch.equal(vgg.eval()(inputs_BCHW)[2], vgg(inputs_BCHW)[2])


def vgg_weights(batch_norm=False, width=WIDTH):
    """Return torchvision's whole VGG-16, with fully connected layers of the given width."""
    torch.manual_seed(1)
    layers = torchvision.models.vgg16_bn if batch_norm else torchvision.models.vgg16
    with without_memory():
        model = layers(weights=None)
    model.classifier[0] = nn.Linear(512 * 7 * 7, width)
    model.classifier[3] = nn.Linear(width, width)
    model.classifier[6] = nn.Linear(width, 10)
    model.features.to_empty(device="cpu")
    start_he(model.features)
    for name, value in model.features.state_dict().items():
        if value.ndim < 4:
            value.copy_(torch.rand(value.shape) + (0.5 if "var" in name else 0.1))
    return model


@pytest.mark.parametrize("batch_norm", [False, True])
def test_weights_of_torchvision_give_its_layer_7(tmp_path, batch_norm):
    theirs = vgg_weights(batch_norm).eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg.pth")
    ours = fcn("vgg16_bn" if batch_norm else "vgg16", tmp_path / "vgg.pth").network.encoder.eval()
    inputs_BCHW = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs.classifier[:6](theirs.features(inputs_BCHW).flatten(1))
        # At 224 pixels, the 7x7 kernel at the middle of the map covers the whole map.
        torch.testing.assert_close(ours(inputs_BCHW)[2][:, :, 3, 3], expected)
    assert expected.any()


def test_weights_of_timm_are_loaded(tmp_path):
    weights = vgg_weights().state_dict()
    with without_memory():
        names = list(timm.create_model("vgg16").state_dict())
    shapes = {"pre_logits.fc1.weight": (WIDTH, 512, 7, 7), "pre_logits.fc2.weight": (WIDTH, WIDTH, 1, 1)}
    timm_weights = {
        name: value.reshape(shapes.get(name, value.shape)) for name, value in zip(names, weights.values(), strict=True)
    }
    torch.save(timm_weights, tmp_path / "timm.pth")
    loaded = fcn("tu-vgg16", tmp_path / "timm.pth").network.encoder.state_dict()
    assert torch.equal(loaded["features.28.weight"], weights["features.28.weight"])
    assert torch.equal(loaded["fc6.weight"], timm_weights["pre_logits.fc1.weight"])
    assert torch.equal(loaded["fc7.bias"], timm_weights["pre_logits.fc2.bias"])


def test_weights_without_fully_connected_layers_leave_these_at_their_start(tmp_path):
    with without_memory():
        encoder = get_encoder("vgg16", weights=None)
    weights = {key: torch.rand(value.shape) for key, value in encoder.state_dict().items()}
    torch.save(weights, tmp_path / "smp.pth")
    torch.manual_seed(5)
    start = fcn().network.encoder.state_dict()
    torch.manual_seed(5)
    loaded = fcn(weights=tmp_path / "smp.pth").network.encoder.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())
    assert torch.equal(loaded["fc6.weight"], start["fc6.weight"])


def test_fully_connected_layers_of_another_width_are_left_out(tmp_path):
    theirs = vgg_weights(width=8).state_dict()
    torch.save(theirs, tmp_path / "vgg.pth")
    loaded = fcn(weights=tmp_path / "vgg.pth").network.encoder.state_dict()
    assert torch.equal(loaded["features.0.weight"], theirs["features.0.weight"])
    assert loaded["fc6.weight"].shape == (WIDTH, 512, 7, 7)


def test_weights_of_a_vgg_with_batch_norm_do_not_fit_one_without(tmp_path):
    torch.save(vgg_weights(batch_norm=True).state_dict(), tmp_path / "vgg.pth")
    config = ModelConfig(
        name="fcn8s", encoder="vgg16", encoder_weights=str(tmp_path / "vgg.pth"), fcn=FcnConfig(head_width=WIDTH)
    )
    with pytest.raises(ConfigError, match=r"vgg\.pth' does not fit encoder 'vgg16'.*features\."):
        resolve_encoder_weights(config)


def test_weights_with_half_of_the_fully_connected_layers_are_refused(tmp_path):
    weights = {key: value for key, value in vgg_weights().state_dict().items() if not key.startswith("classifier.3")}
    torch.save(weights, tmp_path / "vgg.pth")
    with pytest.raises(ConfigError, match=r"Missing key.*fc7\.weight"):
        fcn(weights=tmp_path / "vgg.pth")


@pytest.mark.parametrize(
    ("encoder", "source"), [("vgg16", "smp-hub/vgg16.imagenet"), ("tu-vgg16_bn", "timm/vgg16_bn.tv_in1k")]
)
def test_imagenet_is_refused_where_it_cannot_be_fetched_and_auto_starts_from_scratch(silent_hub, encoder, source):
    config = ModelConfig(name="fcn8s", encoder=encoder, encoder_weights="imagenet")
    with pytest.raises(ConfigError, match=f"{source}.* cannot be fetched"):
        resolve_encoder_weights(config)
    assert resolve_encoder_weights(config.model_copy(update={"encoder_weights": "auto"}))[0] == "none"


@pytest.mark.parametrize(
    ("encoder", "message"),
    [("vgg16bn", "did you mean 'vgg16_bn'"), ("resnet18", "choose from tu-vgg16, tu-vgg16_bn, vgg16, vgg16_bn")],
)
def test_another_encoder_is_refused(encoder, message):
    with pytest.raises(ConfigError, match=message):
        check_model(ModelConfig(name="fcn8s", encoder=encoder))
