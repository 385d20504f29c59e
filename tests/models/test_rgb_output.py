"""Models with RGB output: decoding of colours to classes, training, and palettes that are refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segray.config import GeneratorConfig, ModelConfig, UnetConfig
from segray.data.datasets import DATASETS, WITHOUT_PALETTE
from segray.data.datasets.cityscapes import label_space
from segray.errors import ConfigError
from segray.labels import LabelSpace, distinct_colors
from segray.models import (
    SegmentationModel,
    build_model,
    check_output,
    check_palette,
    meta_model,
    resolve_encoder_weights,
)

pytestmark = pytest.mark.usefixtures("seeded")

PALETTE = label_space().colors
RGB_UNET = ModelConfig(
    name="unet",
    output="rgb",
    unet=UnetConfig(widths=(8, 12, 16), convolutions=(1, 1, 1), decoder_widths=(12, 8), batch_norm=True),
)


def nearest_by_loop(colors_HWC, palette):
    """Return the index of the nearest palette colour and minus the squared distances (H, W, classes); -1..1 scale."""
    height, width, _ = colors_HWC.shape
    scores = np.empty((height, width, len(palette)))
    for row in range(height):
        for column in range(width):
            for index, color in enumerate(palette):
                wanted = np.array(color) / 127.5 - 1
                scores[row, column, index] = -((colors_HWC[row, column] - wanted) ** 2).sum()
    return scores.argmax(-1), scores


@pytest.fixture
def painted():
    """Return random colours (1, 3, 9, 11) in -1..1."""
    torch.manual_seed(0)
    return torch.rand(1, 3, 9, 11) * 2 - 1


def test_the_largest_logit_is_the_nearest_colour(painted):
    logits_BCHW = SegmentationModel(nn.Identity(), 1, PALETTE).decode(painted)
    nearest_HW, _ = nearest_by_loop(painted[0].permute(1, 2, 0).double().numpy(), PALETTE)
    np.testing.assert_array_equal(logits_BCHW.argmax(dim=1)[0].numpy(), nearest_HW)


def test_logits_differ_by_ten_times_the_difference_of_squared_distances(painted):
    logits_HWC = SegmentationModel(nn.Identity(), 1, PALETTE).decode(painted)[0].permute(1, 2, 0).numpy()
    _, scores_HWC = nearest_by_loop(painted[0].permute(1, 2, 0).double().numpy(), PALETTE)
    np.testing.assert_allclose(
        logits_HWC - logits_HWC[..., :1], 10 * (scores_HWC - scores_HWC[..., :1]), rtol=0, atol=1e-4
    )


def test_every_palette_colour_decodes_to_its_own_class():
    colors_BCHW = (torch.tensor(PALETTE) / 127.5 - 1).T[None, :, None]
    logits_BCHW = SegmentationModel(nn.Identity(), 1, PALETTE).decode(colors_BCHW)
    assert logits_BCHW.argmax(dim=1)[0, 0].tolist() == list(range(len(PALETTE)))


def test_autocast_leaves_near_colours_apart():
    colors_BCHW = (torch.tensor(PALETTE) / 127.5 - 1).T[None, :, None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits_BCHW = SegmentationModel(nn.Identity(), 1, PALETTE).decode(colors_BCHW)
    assert logits_BCHW.dtype == torch.float32
    assert logits_BCHW.argmax(dim=1)[0, 0].tolist() == list(range(len(PALETTE)))


def test_raw_gives_colours_of_the_photos_size_and_else_their_logits():
    model = build_model(RGB_UNET, 19, PALETTE).eval()
    photos_BCHW = torch.randint(0, 256, (2, 3, 13, 18), dtype=torch.uint8)
    with torch.no_grad():
        colors_BCHW, logits_BCHW = model(photos_BCHW, raw=True), model(photos_BCHW)
    assert model.paints
    assert colors_BCHW.shape == (2, 3, 13, 18)
    assert colors_BCHW.abs().max() <= 1
    assert torch.equal(model.decode(colors_BCHW), logits_BCHW)
    assert logits_BCHW.shape == (2, 19, 13, 18)


def test_a_model_of_logits_has_nothing_to_decode():
    model = build_model(RGB_UNET.model_copy(update={"output": "logits"}), 19, PALETTE).eval()
    photos_BCHW = torch.randint(0, 256, (1, 3, 13, 18), dtype=torch.uint8)
    with torch.no_grad():
        raw_BCHW, logits_BCHW = model(photos_BCHW, raw=True), model(photos_BCHW)
    assert not model.paints
    assert torch.equal(raw_BCHW, logits_BCHW)
    assert model.decode(raw_BCHW) is raw_BCHW


def test_the_palette_is_no_weight():
    assert all(key.startswith("network.") for key in build_model(RGB_UNET, 19, PALETTE).state_dict())


def blocks():
    """Return a photo (1, 3, 32, 32) of four grey levels, and its labels; few neighbours differ."""
    labels_HW = torch.tensor([[0, 5], [8, 10]]).repeat_interleave(16, 0).repeat_interleave(16, 1)
    levels = {0: 20, 5: 90, 8: 160, 10: 230}
    photo_HW = sum(level * (labels_HW == index) for index, level in levels.items())
    return photo_HW.to(torch.uint8).expand(1, 3, 32, 32), labels_HW[None]


def test_colours_are_learnt_from_the_cross_entropy_of_their_logits():
    torch.manual_seed(0)
    photos_BCHW, labels_BHW = blocks()
    model = build_model(RGB_UNET, 19, PALETTE).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(model(photos_BCHW), labels_BHW)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 < 3 < losses[0]
    assert (model(photos_BCHW).argmax(dim=1) == labels_BHW).float().mean() > 0.95


@pytest.mark.parametrize("name", ["smp", "resnet"])
def test_the_meta_model_needs_no_data_set(name):
    config = ModelConfig(name=name, output="rgb", generator=GeneratorConfig(width=2))
    assert meta_model(config).paints


def test_weights_of_a_file_are_checked_without_a_palette(tmp_path):
    encoder = build_model(ModelConfig(encoder_weights="none"), 2).network.encoder
    torch.save(encoder.state_dict(), tmp_path / "weights.pth")
    config = ModelConfig(output="rgb", encoder_weights=str(tmp_path / "weights.pth"))
    assert resolve_encoder_weights(config)[0] == config.encoder_weights


def test_colours_without_a_palette_are_refused():
    with pytest.raises(ConfigError, match=r"needs a data set with a palette.*none was given.*model\.output='logits'"):
        build_model(RGB_UNET, 3)


def test_classes_of_one_colour_are_refused_by_number():
    with pytest.raises(ConfigError, match=r"0, 2 \(RGB 1, 2, 3\); choose data\.classes with distinct colours"):
        build_model(RGB_UNET, 3, [(1, 2, 3), (100, 100, 100), (1, 2, 3)])


def test_classes_of_one_colour_are_refused_by_name():
    with pytest.raises(
        ConfigError, match=r"apart.*nearly the same: sky, sea \(RGB 0, 0, 200\); .*train_ids and categories"
    ):
        check_palette([(0, 0, 200), (90, 0, 0), (0, 0, 200)], ["sky", "land", "sea"])


def test_label_ids_of_cityscapes_cannot_be_told_apart():
    space = label_space("label_ids")
    with pytest.raises(
        ConfigError, match=r"unlabeled, ego vehicle, .*static \(RGB 0, 0, 0\); pole, polegroup"
    ) as caught:
        check_palette(space.colors, space.names)
    assert "bus" not in str(caught.value)


@pytest.mark.parametrize("classes", ["train_ids", "categories"])
def test_train_ids_and_categories_can_be_told_apart(classes):
    check_palette(label_space(classes).colors)


def test_made_up_colours_are_refused():
    space = LabelSpace(names=("a", "b"), colors=distinct_colors(2))
    with pytest.raises(ConfigError, match=r"needs a data set with a palette.*this data set has none of its own"):
        check_output(RGB_UNET, space, has_palette=False)
    check_output(RGB_UNET, space, has_palette=True)
    check_output(ModelConfig(), space, has_palette=False)


def test_an_rgb_model_on_classes_of_one_colour_is_refused_before_it_is_built():
    with pytest.raises(ConfigError, match="pole, polegroup"):
        check_output(RGB_UNET, label_space("label_ids"), has_palette=True)
    check_output(ModelConfig(), label_space("label_ids"), has_palette=True)


def test_only_known_data_sets_lack_a_palette():
    assert set(DATASETS) >= WITHOUT_PALETTE
