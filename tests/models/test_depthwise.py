"""Gradients of dilated depthwise convolutions in bfloat16 on a CPU, after other numbers were in memory."""

import copy

import pytest
import torch
from every_model import SMP_CONFIGS, build, name_of
from torch import nn

from segray.models.depthwise import keep_exact

pytestmark = pytest.mark.usefixtures("seeded")
AUTOCAST = {"device_type": "cpu", "dtype": torch.bfloat16}


def used_memory():
    """Fill memory with large numbers and free it."""
    for power in range(8, 24):
        torch.full((1 << power,), 3e38)


def weight_gradient(layer, x_BCHW, g_BCHW, **autocast):
    layer.zero_grad()
    used_memory()
    with torch.autocast(**{"device_type": "cpu", "enabled": False, **autocast}):
        y_BCHW = layer(x_BCHW)
    y_BCHW.backward(g_BCHW.to(y_BCHW.dtype))
    return layer.weight.grad.clone()


@pytest.mark.parametrize(
    ("channels", "kernel", "dilation"), [(960, 3, 2), (304, 3, 6), (96, 7, 3), (7, 3, 2), (320, 3, 12)]
)
def test_the_gradient_is_that_of_float32(channels, kernel, dilation):
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(channels, channels, kernel, padding=padding, dilation=dilation, groups=channels)
    layer = layer.to(memory_format=torch.channels_last)
    x_BCHW, g_BCHW = (
        torch.randn(4, channels, 23, 30).bfloat16().float().contiguous(memory_format=torch.channels_last)
        for _ in range(2)
    )
    expected = weight_gradient(layer, x_BCHW, g_BCHW)
    keep_exact(layer)
    got = weight_gradient(layer, x_BCHW, g_BCHW, enabled=True, dtype=torch.bfloat16)
    assert (got - expected).abs().max() < 0.01 * expected.abs().max()


def test_the_outputs_dtype_and_the_state_dict_are_as_before():
    layer = nn.Conv2d(8, 8, 3, dilation=2, groups=8)
    before = layer.state_dict()
    keep_exact(layer)
    assert copy.deepcopy(layer).state_dict().keys() == before.keys()
    x_BCHW = torch.randn(1, 8, 9, 9)
    assert layer(x_BCHW).dtype == torch.float32
    with torch.autocast(**AUTOCAST):
        assert layer(x_BCHW).dtype == torch.bfloat16


@pytest.mark.parametrize("config", SMP_CONFIGS, ids=name_of)
def test_every_such_layer_of_a_model_is_kept_exact(config):
    convolutions = [layer for layer in build(config).modules() if isinstance(layer, nn.Conv2d)]
    dilated = [layer for layer in convolutions if layer.groups == layer.in_channels > 1 and max(layer.dilation) > 1]
    assert {type(layer).__name__ for layer in dilated} <= {"InFloat32"}
    assert dilated or config.arch != "DeepLabV3Plus"
