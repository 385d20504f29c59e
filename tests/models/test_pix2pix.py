"""The generator of pix2pix: its parameters against the published count, its skips, dropout and initial weights."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from segray.config import GeneratorConfig, ModelConfig
from segray.errors import ConfigError
from segray.models import build_model, check_train_shape, resolve_encoder_weights
from segray.models.meta import without_memory
from segray.models.pix2pix import Pix2PixUnet

NAMES = ["pix2pix", "unet_instance_norm"]


def config(name="pix2pix", **options):
    return ModelConfig(name=name, generator=GeneratorConfig(**options))


def num_parameters(model_config, outputs=3):
    with without_memory():
        return sum(parameter.numel() for parameter in build_model(model_config, outputs).parameters())


def by_hand(encoder, decoder, outputs=3):
    """Count the parameters of 4x4 convolutions; a normalisation has 2 per channel in place of the convolution's bias.

    Args:
        encoder: Channels of the encoder's stages.
        decoder: (channels in, channels out) of the decoder's stages except the last.
        outputs: Output channels of the last stage, which has twice the first stage's channels as input.
    """
    count = 16 * 3 * encoder[0] + encoder[0]
    for inputs, width in pairwise(encoder):
        count += 16 * inputs * width + 2 * width
    count -= encoder[-1]  # the innermost convolution has a bias and no normalisation
    for inputs, width in decoder:
        count += 16 * inputs * width + 2 * width
    return count + 16 * 2 * encoder[0] * outputs + outputs


@pytest.mark.parametrize("name", NAMES)
def test_the_unet_256_has_the_published_number_of_parameters(name):
    encoder = [64, 128, 256, 512, 512, 512, 512, 512]
    decoder = [(512, 512), (1024, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64)]
    count = num_parameters(config(name))
    assert count == by_hand(encoder, decoder) == 54_414_531
    # The authors' PyTorch code prints 54.414 M: its first and its innermost convolution have no bias.
    assert round((count - 64 - 512) / 1e6, 3) == 54.414


@pytest.mark.parametrize("name", NAMES)
def test_the_unet_128_has_one_stage_less_in_each_half(name):
    encoder = [64, 128, 256, 512, 512, 512, 512]
    decoder = [(512, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64)]
    assert num_parameters(config(name, depth=7)) == by_hand(encoder, decoder)


def test_width_and_outputs_are_settings():
    assert num_parameters(config(depth=2, width=4), outputs=19) == by_hand([4, 8], [(8, 4)], outputs=19)


@pytest.mark.parametrize("depth", [2, 5, 8])
def test_the_depth_sets_the_stride(depth):
    assert build_model(config(depth=depth, width=1), 2).stride == 2**depth


@pytest.mark.parametrize("name", NAMES)
def test_one_image_of_the_strides_size_can_be_trained_on(name):
    check_train_shape(config(name, depth=4, width=2), batch_size=1, size_px=(16, 16))


def test_the_first_and_the_innermost_convolution_have_no_normalisation():
    encoder = Pix2PixUnet(GeneratorConfig(depth=4, width=2), 3, norm="batch").encoder
    counts = [sum(isinstance(module, nn.BatchNorm2d) for module in stage.modules()) for stage in encoder]
    assert counts == [0, 1, 1, 0]


def test_the_three_coarsest_decoder_stages_drop_values():
    decoder = Pix2PixUnet(GeneratorConfig(depth=6, width=2, dropout=0.3), 3, norm="batch").decoder
    rates = [sum(module.p for module in stage.modules() if isinstance(module, nn.Dropout)) for stage in decoder]
    assert rates == [0.3, 0.3, 0.3, 0, 0, 0]


def test_skips_carry_maps_before_their_activation():
    network = Pix2PixUnet(GeneratorConfig(depth=3, width=4), 3, norm="instance")
    seen = []
    network.encoder[1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    network.decoder[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(torch.randn(1, 3, 16, 16))
    skip_BCHW, joined_BCHW = seen
    assert (skip_BCHW < 0).any()
    assert torch.equal(joined_BCHW[:, -8:], skip_BCHW)


@pytest.mark.parametrize("name", NAMES)
def test_weights_start_as_published(name):
    torch.manual_seed(0)
    network = build_model(config(name, depth=5, width=16), 3).network
    kernels = torch.cat([value.flatten() for value in network.parameters() if value.ndim == 4])
    scales = torch.cat([m.weight for m in network.modules() if isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d))])
    biases = torch.cat([value for key, value in network.named_parameters() if key.endswith("bias")])
    assert kernels.std().item() == pytest.approx(0.02, rel=0.01)
    assert kernels.mean().item() == pytest.approx(0, abs=1e-3)
    assert scales.mean().item() == pytest.approx(1, abs=5e-3)
    assert scales.std().item() == pytest.approx(0.02, rel=0.2)
    assert not biases.any()


@pytest.mark.parametrize("name", [*NAMES, "resnet"])
def test_generators_have_no_pretrained_encoder(silent_hub, name):
    with pytest.raises(ConfigError, match=f"model.name='{name}', which has no pretrained encoder, but got 'vgg.pth'"):
        resolve_encoder_weights(ModelConfig(name=name, encoder_weights="vgg.pth"))
    line = f"encoder weights: none, {name} has no pretrained encoder"
    assert resolve_encoder_weights(ModelConfig(name=name, encoder_weights="imagenet")) == ("none", line)
