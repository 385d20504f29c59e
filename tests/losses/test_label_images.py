"""L1 and gradient-sensitive loss of label images against NumPy loops."""

import numpy as np
import pytest
import torch
from torch import nn

from segray.config import GanConfig
from segray.labels import IGNORE_INDEX
from segray.losses.label_images import LabelImageLoss, absolute_difference, gradient_difference

SHAPE = (2, 3, 7, 9)


@pytest.fixture
def labels():
    labels = np.zeros((2, 7, 9), dtype=np.int64)
    labels[0, :, 4:] = 1
    labels[1, 3:, :2] = 2
    labels[1, 5:, 5:] = 1
    labels[0, :2] = IGNORE_INDEX
    return labels


def images(labels):
    """Return a fake and a real label image, both 0 at void pixels."""
    rng = np.random.default_rng(0)
    masks = (labels != IGNORE_INDEX)[:, None]
    return rng.standard_normal(SHAPE) * masks, rng.standard_normal(SHAPE) * masks


def tensors(*arrays):
    return [torch.tensor(array, dtype=torch.float32, requires_grad=True) for array in arrays]


def at(image, row, column):
    """Return the value at a place; beyond the border, that of the nearest pixel."""
    return image[min(max(row, 0), image.shape[0] - 1), min(max(column, 0), image.shape[1] - 1)]


def sobel(image, row, column):
    around = np.array([[at(image, row + i, column + j) for j in (-1, 0, 1)] for i in (-1, 0, 1)])
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return np.abs([(around * kernel).sum(), (around * kernel.T).sum()])


def reference_gradient_difference(fake, real, labels, at_boundary, elsewhere):
    total, num_labelled = 0.0, 0
    for image, row, column in np.argwhere(labels != IGNORE_INDEX):
        neighbours = labels[image, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        classes = set(neighbours[neighbours != IGNORE_INDEX].tolist())
        differences = [
            np.abs(sobel(fake[image, channel], row, column) - sobel(real[image, channel], row, column))
            for channel in range(SHAPE[1])
        ]
        total += (at_boundary if len(classes) > 1 else elsewhere) * np.mean(differences)
        num_labelled += 1
    return total / num_labelled


def test_the_absolute_difference_is_the_mean_over_labelled_pixels(labels):
    fake, real = images(labels)
    expected = np.abs(fake - real).mean(axis=1)[labels != IGNORE_INDEX].mean()
    got = absolute_difference(*tensors(fake, real), torch.tensor(labels))
    assert got.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kind", "at_boundary", "elsewhere"), [("hard", 1.0, 0.0), ("soft", 1.0, 0.1)])
def test_the_gradient_difference_equals_the_reference(kind, at_boundary, elsewhere, labels):
    fake, real = images(labels)
    expected = reference_gradient_difference(fake, real, labels, at_boundary, elsewhere)
    got = gradient_difference(*tensors(fake, real), torch.tensor(labels), kind)
    assert got.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("difference", [absolute_difference, lambda *a: gradient_difference(*a, "soft")])
def test_equal_images_and_void_alone_are_zero(difference, labels):
    _, real = images(labels)
    assert difference(*tensors(real, real), torch.tensor(labels)) == 0
    void = torch.full(labels.shape, IGNORE_INDEX)
    nothing = np.zeros(SHAPE)
    value = difference(*tensors(nothing, nothing), void)
    assert value == 0
    value.backward()


@pytest.mark.parametrize("difference", [absolute_difference, lambda *a: gradient_difference(*a, "soft")])
def test_a_step_against_the_gradient_lowers_it(difference, labels):
    fake, real = tensors(*images(labels))
    before = difference(fake, real, torch.tensor(labels))
    (gradient,) = torch.autograd.grad(before, fake)
    assert difference(fake - 0.01 * gradient / gradient.abs().max(), real, torch.tensor(labels)) < before


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_the_loss_is_the_weighted_sum_of_three(kind, labels):
    fake, real = tensors(*images(labels))
    logits, ids, cross_entropy = (
        torch.randn(SHAPE),
        torch.tensor(labels),
        nn.CrossEntropyLoss(ignore_index=IGNORE_INDEX),
    )
    config = GanConfig(segmentation_weight=2.0, l1_weight=5.0, gradient_weight=0.7, gradient_kind=kind)
    expected = 2.0 * cross_entropy(logits, ids) + 5.0 * absolute_difference(fake, real, ids)
    expected += 0.7 * gradient_difference(fake, real, ids, kind)
    torch.testing.assert_close(LabelImageLoss(cross_entropy, config)(logits, fake, real, ids), expected)


def test_a_loss_without_weight_is_not_computed(labels):
    def fail(*arguments):
        raise AssertionError("computed")

    segmentation = nn.Identity()
    segmentation.forward = fail
    fake, real = tensors(*images(labels))
    loss = LabelImageLoss(segmentation, GanConfig(segmentation_weight=0.0))
    assert loss(torch.randn(SHAPE), fake, real, torch.tensor(labels)) == 0
