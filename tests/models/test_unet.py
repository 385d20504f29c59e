"""The VGG-like U-Net: its parameters against an independent count, its options, and its training."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from segray.config import ModelConfig, UnetConfig
from segray.data.datasets.cityscapes import label_space
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError
from segray.models import build_model, check_model, check_train_shape, resolve_encoder_weights
from segray.models.meta import without_memory


def unet_config(**options):
    return ModelConfig(name="unet", unet=UnetConfig(**options))


def num_parameters(config, classes):
    with without_memory():
        return sum(parameter.numel() for parameter in build_model(config, classes).parameters())


def conv(inputs, outputs, size=3):
    return inputs * outputs * size * size + outputs


def test_parameters_of_the_default_are_those_of_its_layers_by_hand():
    encoder = conv(3, 64) + conv(64, 64)
    encoder += conv(64, 128) + conv(128, 128)
    encoder += conv(128, 256) + 2 * conv(256, 256)
    encoder += conv(256, 512) + 2 * conv(512, 512)
    encoder += 3 * conv(512, 512)
    decoder = conv(512, 256, size=2) + conv(256 + 512, 256) + conv(256, 256)
    decoder += conv(256, 128, size=2) + conv(128 + 256, 128) + conv(128, 128)
    decoder += conv(128, 64, size=2) + conv(64 + 128, 64) + conv(64, 64)
    decoder += conv(64, 32, size=2) + conv(32 + 64, 32) + conv(32, 32)
    assert num_parameters(unet_config(), 13) == encoder + decoder + conv(32, 13, size=1)
    assert encoder == 14_714_688, "the convolutions of VGG-16"


def test_batch_norm_adds_two_numbers_for_each_channel_of_each_convolution():
    channels = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * (256 + 128 + 64 + 32)
    assert num_parameters(unet_config(batch_norm=True), 13) - num_parameters(unet_config(), 13) == 2 * channels


def test_the_width_multiplier_acts_on_all_widths():
    narrow = unet_config(widths=(32, 64, 128, 256, 256), decoder_widths=(128, 64, 32, 16))
    assert num_parameters(unet_config(width_multiplier=0.5), 13) == num_parameters(narrow, 13)
    assert num_parameters(unet_config(width_multiplier=0.001), 13) > 0


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_widths_set_the_depth_and_so_the_stride(depth):
    config = unet_config(widths=[4] * depth, convolutions=[1] * depth, decoder_widths=[4] * (depth - 1))
    check_model(config)
    model = build_model(config, 2)
    assert model.stride == 2 ** (depth - 1)
    assert model(torch.zeros(1, 3, 37, 41)).shape == (1, 2, 37, 41)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [64]}, r"model\.unet\.widths must hold at least 2 numbers, but got \[64\]"),
        ({"widths": [8, 16, 32]}, r"model\.unet\.convolutions must hold 3 numbers.*\[2, 2, 3, 3, 3\]"),
        ({"decoder_widths": [8, 8]}, r"model\.unet\.decoder_widths must hold 4 numbers.*holds 5, but got \[8, 8\]"),
    ],
)
def test_lists_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        check_model(unet_config(**options))


def test_one_value_a_channel_is_refused_with_batch_norm_alone():
    with pytest.raises(ConfigError, match=r"model\.name='unet' cannot train on 1 x 16x16 px.*a larger data\.crop_px"):
        check_train_shape(unet_config(batch_norm=True), batch_size=1, size_px=(16, 16))
    check_train_shape(unet_config(batch_norm=True), batch_size=1, size_px=(16, 32))
    check_train_shape(unet_config(), batch_size=1, size_px=(16, 16))


def test_encoder_settings_of_other_families_are_ignored(silent_hub):
    config = unet_config().model_copy(update={"encoder": "resnet18", "encoder_weights": "imagenet"})
    check_model(config)
    assert resolve_encoder_weights(config) == ("none", "encoder weights: none, unet has no pretrained encoder")


@pytest.fixture(scope="module")
def four_scenes(tmp_path_factory):
    """Return photos (4, 3, 64, 128) and Cityscapes training ids (4, 64, 128)."""
    root = tmp_path_factory.mktemp("scenes") / "cityscapes"
    write_scenes("cityscapes", root, train=4, val=1, size_px=(64, 128), seed=0)
    photos = [np.asarray(Image.open(path)) for path in sorted(root.glob("leftImg8bit/train/*/*.png"))]
    ids = [np.asarray(Image.open(path)) for path in sorted(root.glob("gtFine/train/*/*labelIds.png"))]
    to_train = np.vectorize(label_space().raw_to_train.get)
    photos_BCHW = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2)
    return photos_BCHW, torch.from_numpy(to_train(np.stack(ids))).long()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_small_unet_overfits_four_scenes(four_scenes, batch_norm):
    photos_BCHW, labels_BHW = four_scenes
    assert photos_BCHW.shape == (4, 3, 64, 128)
    torch.manual_seed(0)
    config = unet_config(
        widths=(16, 24, 32, 48), convolutions=(2, 2, 2, 2), decoder_widths=(32, 24, 16), batch_norm=batch_norm
    )
    model = build_model(config, 19).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(80):
        loss = F.cross_entropy(model(photos_BCHW), labels_BHW, ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] < 2 * np.log(19), "the first logits must be small"
    assert losses[-1] < losses[0] / 4
