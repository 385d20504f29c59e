"""The residual generator: its parameters against the published count, and its padding."""

import torch
from torch import nn

from segray.config import GeneratorConfig, ModelConfig
from segray.models import build_model
from segray.models.meta import without_memory
from segray.models.resnet_generator import ResidualBlock, ResnetGenerator


def num_parameters(outputs=3, **options):
    with without_memory():
        model = build_model(ModelConfig(name="resnet", generator=GeneratorConfig(**options)), outputs)
    return sum(parameter.numel() for parameter in model.parameters())


def by_hand(width, blocks, outputs=3):
    halves = 9 * (width * 2 * width + 2 * width * 4 * width)
    in_blocks = blocks * 2 * 9 * (4 * width) ** 2
    ends = 49 * width * (3 + outputs) + outputs
    normalised_channels = 2 * (width + 2 * width) + 4 * width + blocks * 2 * 4 * width
    return ends + 2 * halves + in_blocks + 2 * normalised_channels


def test_nine_blocks_have_the_published_number_of_parameters():
    assert num_parameters() == by_hand(64, 9) == 11_383_427
    # The authors' PyTorch code prints 11.378 M: it has one bias per channel where this model has a scale and an offset.
    normalised_channels = 2 * (64 + 128) + 256 + 9 * 2 * 256
    assert round((num_parameters() - normalised_channels) / 1e6, 3) == 11.378


def test_width_blocks_and_outputs_are_settings():
    assert num_parameters(width=8, num_blocks=6, outputs=19) == by_hand(8, 6, outputs=19)


def test_the_smallest_map_has_pixels_to_reflect():
    model = build_model(ModelConfig(name="resnet", generator=GeneratorConfig(width=2, num_blocks=1)), 2)
    shapes = []
    model.network.blocks.register_forward_pre_hook(lambda module, inputs: shapes.append(inputs[0].shape[2:]))
    model(torch.zeros(1, 3, 1, 1))
    assert shapes == [(2, 2)]


def test_a_block_adds_to_its_input():
    block = ResidualBlock(4)
    nn.init.zeros_(block.layers[-1].weight)
    x_BCHW = torch.randn(1, 4, 5, 6)
    assert torch.equal(block(x_BCHW), x_BCHW)


def test_edges_are_reflected():
    torch.manual_seed(0)
    network = ResnetGenerator(GeneratorConfig(width=2, num_blocks=1), 1)
    first = network.encoder[0]
    x_BCHW = torch.randn(1, 3, 8, 8)
    padded_BCHW = nn.functional.pad(x_BCHW, (3, 3, 3, 3), mode="reflect")
    torch.testing.assert_close(first(x_BCHW), nn.functional.conv2d(padded_BCHW, first.weight))
