"""Every discriminator: patches, sizes, gradients, and the class scores of semantic discriminators."""

from itertools import pairwise, product
from typing import get_args

import pytest
import torch
from torch import nn

from segray.config import GanConfig
from segray.errors import ConfigError
from segray.models import build_discriminator, check_discriminator
from segray.models.meta import without_memory

pytestmark = pytest.mark.usefixtures("seeded")

NUM_CLASSES = 4


def choices_of(key):
    return get_args(GanConfig.model_fields[key].annotation)


KINDS = tuple(kind for kind in choices_of("discriminator") if kind != "none")
FIELDS_PX = choices_of("receptive_field_px")
NORMS = choices_of("norm")
CONFIGS = [
    GanConfig(discriminator=kind, receptive_field_px=field_px, norm=norm, spectral_norm=spectral, width=2)
    for kind, field_px, norm, spectral in product(KINDS, FIELDS_PX, NORMS, (False, True))
]


def name_of(config):
    parts = [config.discriminator, str(config.receptive_field_px), config.norm]
    return "-".join([*parts, *(["spectral"] if config.spectral_norm else [])])


@pytest.fixture(params=CONFIGS, ids=name_of)
def config(request):
    return request.param


def build(config, image_channels=NUM_CLASSES):
    return build_discriminator(config, num_classes=NUM_CLASSES, image_channels=image_channels)


def classes_of(labels_BHW):
    """Return one-hot labels; -1 is void."""
    return torch.stack([labels_BHW == index for index in range(NUM_CLASSES)], dim=1).float()


def inputs(config, batch=1, labels=(0, 1, 2, -1), image_channels=NUM_CLASSES):
    """Return photos, an image that requires gradients, and classes without the last one, at the smallest odd sizes."""
    height, width = config.receptive_field_px + 1, config.receptive_field_px + 5
    photos_BCHW = torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)
    image_BCHW = torch.rand(batch, image_channels, height, width).requires_grad_()
    labels_BHW = torch.tensor(labels)[torch.randint(0, len(labels), (batch, height, width))]
    return photos_BCHW, image_BCHW, classes_of(labels_BHW)


def test_one_image_of_an_odd_size_trains_every_parameter_with_a_class_absent(config):
    discriminator = build(config).train()
    photos_BCHW, image_BCHW, classes_BCHW = inputs(config)
    scores_BChw = discriminator(photos_BCHW, image_BCHW, classes_BCHW)
    assert scores_BChw.shape[:2] == (1, 1)
    assert scores_BChw.isfinite().all()

    (scores_BChw * torch.randn_like(scores_BChw)).sum().backward()
    for name, value in discriminator.named_parameters():
        assert value.dtype == torch.float32
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.any(), name
    assert image_BCHW.grad.isfinite().all()
    assert image_BCHW.grad.any()


def test_labels_that_are_all_void_give_finite_scores_and_gradients(config):
    discriminator = build(config).train()
    photos_BCHW, image_BCHW, classes_BCHW = inputs(config, labels=(-1,))
    scores_BChw = discriminator(photos_BCHW, image_BCHW, classes_BCHW)
    scores_BChw.sum().backward()
    assert scores_BChw.isfinite().all()
    assert all(value.grad.isfinite().all() for value in discriminator.parameters())
    assert scores_BChw.any() == (config.discriminator == "patchgan")


def test_the_penalty_on_the_gradient_has_a_gradient(config):
    discriminator = build(config).train()
    photos_BCHW, image_BCHW, classes_BCHW = inputs(config, batch=2)
    (slope_BCHW,) = torch.autograd.grad(
        discriminator(photos_BCHW, image_BCHW, classes_BCHW).sum(), image_BCHW, create_graph=True
    )
    slope_BCHW.square().sum().backward()
    kernels = [value for value in discriminator.parameters() if value.ndim == 4]
    assert all(kernel.grad.isfinite().all() and kernel.grad.any() for kernel in kernels)


def test_real_and_generated_images_can_be_scored_before_one_backward(config):
    discriminator = build(config).train()
    photos_BCHW, image_BCHW, classes_BCHW = inputs(config)
    real = discriminator(photos_BCHW, classes_BCHW, classes_BCHW)
    fake = discriminator(photos_BCHW, image_BCHW, classes_BCHW)
    (real.mean() - fake.mean()).backward()
    assert all(value.grad.isfinite().all() for value in discriminator.parameters())


def test_channels_last_and_the_state_dict_give_the_same_scores(config):
    discriminator, other = build(config).eval(), build(config).eval()
    other.load_state_dict(discriminator.state_dict())
    other.to(memory_format=torch.channels_last)
    batch = [value.detach() for value in inputs(config)]
    fast_batch = [value.to(memory_format=torch.channels_last) for value in batch]
    with torch.no_grad():
        torch.testing.assert_close(other(*fast_batch), discriminator(*batch), rtol=1e-3, atol=1e-5)


def test_takes_no_memory_on_the_meta_device(config):
    with without_memory():
        discriminator = build(config)
        shape = discriminator(*(value.to("meta") for value in inputs(config))).shape
    assert shape[:2] == (1, 1)
    assert all(value.is_meta for value in discriminator.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field_px", FIELDS_PX)
def test_a_score_sees_exactly_its_patch(field_px, kind):
    config = GanConfig(discriminator=kind, receptive_field_px=field_px, norm="none", width=1, conditioned=False)
    discriminator = build(config, image_channels=1).double()
    for value in discriminator.parameters():
        nn.init.ones_(value)  # no two ways to a pixel cancel out
    image_BCHW = torch.rand(1, 1, 2 * field_px, 2 * field_px, dtype=torch.float64).requires_grad_()
    scores_BChw = discriminator(image_BCHW, image_BCHW, torch.ones(1, NUM_CLASSES, *image_BCHW.shape[2:]))
    scores_BChw[0, 0, scores_BChw.shape[2] // 2, scores_BChw.shape[3] // 2].backward()
    rows, columns = image_BCHW.grad[0, 0].nonzero(as_tuple=True)
    assert len(rows) == field_px**2
    assert rows.max() - rows.min() + 1 == field_px
    assert columns.max() - columns.min() + 1 == field_px
    assert 0 < rows.min() < rows.max() < 2 * field_px - 1, "the patch must lie inside"


def by_hand(channels, scores, norm):
    """Count the parameters of 4x4 convolutions; a normalisation has 2 per channel in place of the bias."""
    count = 16 * channels[0] * channels[1] + channels[1]
    for inputs_, outputs in pairwise(channels[1:]):
        count += 16 * inputs_ * outputs + (1 if norm == "none" else 2) * outputs
    return count + 16 * channels[-1] * scores + scores


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("field_px", "widths"), [(16, [64, 128]), (70, [64, 128, 256, 512]), (286, [64, 128, 256, 512, 512, 512])]
)
@pytest.mark.parametrize(("kind", "scores"), [("patchgan", 1), ("semantic", NUM_CLASSES)])
def test_parameters_are_those_of_the_layers_by_hand(kind, scores, field_px, widths, norm):
    config = GanConfig(discriminator=kind, receptive_field_px=field_px, norm=norm)
    with without_memory():
        count = sum(value.numel() for value in build(config, image_channels=3).parameters())
    assert count == by_hand([6, *widths], scores, norm)


def test_the_70_px_patchgan_has_the_published_number_of_parameters():
    with without_memory():
        count = sum(value.numel() for value in build(GanConfig(discriminator="patchgan"), 3).parameters())
    assert count == 2_768_705
    assert round(count / 1e6, 3) == 2.769, "what the authors' PyTorch code prints"


def test_spectral_norm_holds_every_kernels_largest_singular_value_at_one():
    torch.manual_seed(0)
    discriminator = build(GanConfig(discriminator="patchgan", norm="none", width=4, spectral_norm=True)).train()
    convolutions = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 5
    for _ in range(200):  # each look at a kernel is one power iteration
        kernels = [layer.weight for layer in convolutions]
    for kernel in kernels:
        assert torch.linalg.matrix_norm(kernel.flatten(1), ord=2).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("conditioned", [True, False])
def test_the_photo_counts_only_where_the_discriminator_is_conditioned(conditioned):
    torch.manual_seed(0)
    config = GanConfig(discriminator="patchgan", receptive_field_px=16, width=2, conditioned=conditioned)
    discriminator = build(config).eval()
    photos_BCHW, image_BCHW, classes_BCHW = inputs(config)
    scores = discriminator(photos_BCHW, image_BCHW, classes_BCHW)
    assert torch.equal(scores, discriminator(photos_BCHW.float(), image_BCHW, classes_BCHW)), "bytes or floats"
    assert torch.equal(scores, discriminator(255 - photos_BCHW, image_BCHW, classes_BCHW)) != conditioned


def semantic(**options):
    torch.manual_seed(0)
    config = GanConfig(discriminator="semantic", receptive_field_px=16, norm="none", width=2, **options)
    return build(config, image_channels=3), torch.zeros(1, 3, 12, 12, dtype=torch.uint8), torch.rand(1, 3, 12, 12)


def test_a_semantic_score_is_that_of_the_class_where_all_is_of_one_class():
    discriminator, photos_BCHW, image_BCHW = semantic()
    by_class_BChw = discriminator.layers(torch.cat((photos_BCHW / 127.5 - 1, image_BCHW), dim=1))
    for index in range(NUM_CLASSES):
        classes_BCHW = classes_of(torch.full((1, 12, 12), index))
        torch.testing.assert_close(
            discriminator(photos_BCHW, image_BCHW, classes_BCHW), by_class_BChw[:, index : index + 1]
        )


def test_a_semantic_score_weighs_classes_by_their_share_of_the_area():
    discriminator, photos_BCHW, image_BCHW = semantic()
    striped_BHW = torch.zeros(1, 12, 12, dtype=torch.long)
    striped_BHW[:, :, ::2] = 2
    wholes = [classes_of(torch.full((1, 12, 12), index)) for index in (0, 2)]
    road, sky = (discriminator(photos_BCHW, image_BCHW, whole) for whole in wholes)
    mixed = discriminator(photos_BCHW, image_BCHW, classes_of(striped_BHW))
    torch.testing.assert_close(mixed, road / 2 + sky / 2)


def test_a_semantic_score_of_a_partly_void_middle_is_that_of_its_labels():
    discriminator, photos_BCHW, image_BCHW = semantic()
    striped_BHW = torch.full((1, 12, 12), 2)
    whole = discriminator(photos_BCHW, image_BCHW, classes_of(striped_BHW))
    striped_BHW[:, :, ::2] = -1
    torch.testing.assert_close(discriminator(photos_BCHW, image_BCHW, classes_of(striped_BHW)), whole)


@pytest.mark.parametrize("field_px", FIELDS_PX)
@pytest.mark.parametrize("extra_px", [0, 5])
def test_the_middles_are_those_of_the_patches(field_px, extra_px):
    discriminator = build(GanConfig(discriminator="patchgan", receptive_field_px=field_px, norm="none", width=1))
    side_px = 18 * discriminator.stride + extra_px
    image_BCHW = torch.randn(1, NUM_CLASSES, side_px, side_px, requires_grad=True)
    scores_B1hw = discriminator(torch.zeros(1, 3, side_px, side_px), image_BCHW, None)
    marks_BCHW = torch.arange(side_px * side_px).double().reshape(1, 1, side_px, side_px)
    middles_B1hw = discriminator.middles(marks_BCHW)
    assert middles_B1hw.shape == scores_B1hw.shape
    place = scores_B1hw.shape[-1] // 2
    scores_B1hw[0, 0, place, place].backward()
    seen = image_BCHW.grad.abs().sum(dim=(0, 1)).nonzero().float()
    first, last = seen.min(dim=0).values, seen.max(dim=0).values
    assert (last - first + 1).tolist() == [field_px, field_px]
    row, column = ((first + last) / 2).tolist()
    assert middles_B1hw[0, 0, place, place].item() == pytest.approx(row * side_px + column)


def test_a_wholly_void_patch_scores_nothing_and_the_others_as_before():
    discriminator, photos_BCHW, image_BCHW = semantic()
    labels_BHW = torch.ones(1, 12, 12, dtype=torch.long)
    before = discriminator(photos_BCHW, image_BCHW, classes_of(labels_BHW))
    labels_BHW[:, :6] = -1
    after = discriminator(photos_BCHW, image_BCHW, classes_of(labels_BHW))
    half = before.shape[2] // 2
    assert before.all()
    assert not after[:, :, :half].any()
    assert torch.equal(after[:, :, -half:], before[:, :, -half:])


@pytest.mark.parametrize("size_px", [(286, 512), (70, 70)])
@pytest.mark.parametrize("kind", KINDS)
def test_patches_as_large_as_the_image_pass(kind, size_px):
    check_discriminator(GanConfig(discriminator=kind, receptive_field_px=min(size_px)), size_px)


@pytest.mark.parametrize(
    ("field_px", "size_px", "message"),
    [
        (286, (285, 512), r"has 285x512 px, but got 286; choose a smaller gan\.receptive_field_px \(16 or 70\)"),
        (70, (64, 128), r"\(16\) or a larger data\.crop_px"),
        (16, (128, 15), r"has 128x15 px, but got 16; choose a larger data\.crop_px"),
    ],
)
def test_patches_larger_than_the_image_are_refused(field_px, size_px, message):
    config = GanConfig(discriminator="patchgan", receptive_field_px=field_px)
    with pytest.raises(ConfigError, match=message):
        check_discriminator(config, size_px)
