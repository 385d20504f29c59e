"""Every loss with its settings, and a sum of two: void never counts, worse predictions cost more, all in float32."""

import re

import pytest
import torch

from segray.config import LossConfig
from segray.labels import IGNORE_INDEX
from segray.losses import LOSSES, build_loss

NUM_CLASSES = 5
CLASS_PIXELS = (400, 300, 200, 100, 0)


WEIGHTED = {"boundary", "cross_entropy", "focal", "ohem"}
"""Losses that class weights apply to."""

CONFIGS = [
    *(LossConfig(name=name) for name in [*LOSSES, "0.5*cross_entropy+dice"]),
    *(LossConfig(name=name, class_weights="balanced") for name in sorted(WEIGHTED)),
    *(LossConfig(name=name, class_weights=(0.5, 1, 2, 3, 4)) for name in sorted(WEIGHTED)),
    LossConfig(name="boundary", boundary_kind="soft", boundary_width_px=12),
    LossConfig(name="focal", focal_alpha=0.25),
    LossConfig(name="focal", focal_alpha="balanced"),
    LossConfig(name="focal", focal_alpha=(0.5, 1, 2, 3, 4)),
    LossConfig(name="focal_tversky", tversky_gamma=3),
]


def settings(config: LossConfig) -> str:
    return ",".join(str(value) for value in config.model_dump(exclude_unset=True).values())


@pytest.fixture(params=CONFIGS, ids=settings)
def loss(request):
    return build_loss(request.param, CLASS_PIXELS)


@pytest.fixture(name="labels_BHW")
def labels() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    labels_BHW = torch.randint(0, NUM_CLASSES - 1, (2, 24, 31), generator=generator)
    labels_BHW[:, 5:9] = IGNORE_INDEX
    return labels_BHW


@pytest.fixture(name="logits_BCHW")
def logits() -> torch.Tensor:
    return torch.randn(2, NUM_CLASSES, 24, 31, generator=torch.Generator().manual_seed(2), requires_grad=True)


def sure_of(labels_BHW: torch.Tensor) -> torch.Tensor:
    classes_BHW = labels_BHW.where(labels_BHW != IGNORE_INDEX, 0)
    return 50.0 * torch.nn.functional.one_hot(classes_BHW, NUM_CLASSES).movedim(-1, 1).float()


def test_is_a_finite_positive_scalar_with_finite_gradients(loss, logits_BCHW, labels_BHW):
    value = loss(logits_BCHW, labels_BHW)
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert value > 0
    assert logits_BCHW.grad.isfinite().all()
    assert logits_BCHW.grad.abs().sum() > 0


def test_perfect_is_zero_and_less_than_unsure_and_less_than_wrong(loss, logits_BCHW, labels_BHW):
    perfect = loss(sure_of(labels_BHW), labels_BHW)
    unsure = loss(torch.zeros_like(logits_BCHW), labels_BHW)
    wrong = loss(sure_of((labels_BHW + 1) % (NUM_CLASSES - 1)), labels_BHW)
    assert perfect.abs() < 1e-5
    assert perfect < unsure < wrong


def test_a_step_against_the_gradient_lowers_it(loss, logits_BCHW, labels_BHW):
    before = loss(logits_BCHW, labels_BHW)
    (gradient,) = torch.autograd.grad(before, logits_BCHW)
    step = 0.1 * gradient / gradient.abs().max()
    assert loss(logits_BCHW - step, labels_BHW) < before


def test_void_pixels_get_no_gradient(loss, logits_BCHW, labels_BHW):
    loss(logits_BCHW, labels_BHW).backward()
    void_B1HW = (labels_BHW == IGNORE_INDEX).unsqueeze(1).expand_as(logits_BCHW)
    assert torch.equal(logits_BCHW.grad[void_B1HW], torch.zeros(int(void_B1HW.sum())))


def test_logits_of_void_pixels_do_not_matter(loss, logits_BCHW, labels_BHW):
    other_BCHW = logits_BCHW.detach().clone()
    other_BCHW[:, :, 5:9] = 100 * torch.randn(2, NUM_CLASSES, 4, 31)
    torch.testing.assert_close(loss(other_BCHW, labels_BHW), loss(logits_BCHW, labels_BHW))


def test_all_void_is_zero_with_a_zero_gradient(loss, logits_BCHW, labels_BHW):
    value = loss(logits_BCHW, torch.full_like(labels_BHW, IGNORE_INDEX))
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(logits_BCHW.grad, torch.zeros_like(logits_BCHW))


def test_an_image_that_is_all_void_leaves_the_other_as_it_is_alone(loss, logits_BCHW, labels_BHW):
    labels_BHW[1] = IGNORE_INDEX
    torch.testing.assert_close(loss(logits_BCHW, labels_BHW), loss(logits_BCHW[:1], labels_BHW[:1]))


def test_one_labelled_pixel_is_enough(loss, logits_BCHW, labels_BHW):
    labels_BHW[:] = IGNORE_INDEX
    labels_BHW[0, 3, 4] = 2
    value = loss(logits_BCHW, labels_BHW)
    value.backward()
    assert value > 0
    assert logits_BCHW.grad[0, :, 3, 4].abs().sum() > 0


def test_extreme_logits_stay_finite(loss, logits_BCHW, labels_BHW):
    logits_BCHW = (1e4 * logits_BCHW).detach().requires_grad_()
    value = loss(logits_BCHW, labels_BHW)
    value.backward()
    assert value.isfinite()
    assert logits_BCHW.grad.isfinite().all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", [..., (0, slice(None), 0, 0)], ids=["everywhere", "in one labelled pixel"])
def test_broken_logits_give_nan_and_no_exception(loss, logits_BCHW, labels_BHW, value, where):
    broken_BCHW = logits_BCHW.detach().clone()
    broken_BCHW[where] = value
    assert loss(broken_BCHW.requires_grad_(), labels_BHW).isnan()


def test_computes_in_float32_under_bfloat16_autocast(loss, logits_BCHW, labels_BHW):
    half_BCHW = logits_BCHW.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half_BCHW, labels_BHW)
    value.backward()
    assert value.dtype == torch.float32
    assert half_BCHW.grad.dtype == torch.bfloat16
    torch.testing.assert_close(value, loss(half_BCHW.float(), labels_BHW), rtol=0, atol=0)


def test_memory_format_does_not_matter(loss, logits_BCHW, labels_BHW):
    channels_last_BCHW = logits_BCHW.to(memory_format=torch.channels_last)
    torch.testing.assert_close(loss(channels_last_BCHW, labels_BHW), loss(logits_BCHW, labels_BHW))


@pytest.mark.parametrize("size_px", [(1, 1), (1, 7), (2, 2)])
def test_takes_one_image_however_small(loss, size_px):
    height, width = size_px
    logits_BCHW = torch.zeros(1, NUM_CLASSES, height, width, requires_grad=True)
    value = loss(logits_BCHW, torch.full((1, height, width), 3))
    value.backward()
    assert value > 0
    assert logits_BCHW.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_class_weights_change_the_losses_they_apply_to_and_no_other(name, logits_BCHW, labels_BHW):
    plain = build_loss(LossConfig(name=name), CLASS_PIXELS)(logits_BCHW, labels_BHW)
    weighted = build_loss(LossConfig(name=name, class_weights="balanced"), CLASS_PIXELS)(logits_BCHW, labels_BHW)
    assert (plain != weighted) == (name in WEIGHTED)
    help_line = LossConfig.model_fields["class_weights"].description
    assert (name in re.findall(r"\w+", help_line)) == (name in WEIGHTED)


def test_has_no_weights_to_train(loss):
    assert list(loss.parameters()) == []
