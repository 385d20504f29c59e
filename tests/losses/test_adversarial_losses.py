"""GAN losses against NumPy loops that follow the papers' formulas."""

import math

import numpy as np
import pytest
import torch

from segray.config import GanConfig
from segray.errors import ConfigError
from segray.losses.adversarial import ADVERSARIAL_LOSSES, PatchScores, build_adversarial_loss, r1_penalty


def scores(seed, count=40):
    return 3 * np.random.default_rng(seed).standard_normal((count, 1, 2, 3))


def counted(values, counts=None):
    """Return scores that count where ``counts`` is 1; by default all count."""
    scores_B1hw = torch.as_tensor(values)
    return PatchScores(scores_B1hw, torch.ones(scores_B1hw.shape) if counts is None else torch.as_tensor(counts))


def log_sigmoid(score):
    return -math.log1p(math.exp(-score))


def reference(kind, real, fake, target):
    """Compute the discriminator's loss and the model's loss, patch by patch."""
    of_real, of_fake, of_model = [], [], []
    for score in real.flat:
        match kind:
            case "bce":
                of_real.append(-target * log_sigmoid(score) - (1 - target) * log_sigmoid(-score))
            case "lsgan":
                of_real.append((score - target) ** 2)
            case "hinge":
                of_real.append(max(0.0, 1 - score))
    for score in fake.flat:
        match kind:
            case "bce":
                of_fake.append(-log_sigmoid(-score))
                of_model.append(-log_sigmoid(score))
            case "lsgan":
                of_fake.append(score**2)
                of_model.append((score - 1) ** 2)
            case "hinge":
                of_fake.append(max(0.0, 1 + score))
                of_model.append(-score)
    return (np.mean(of_real) + np.mean(of_fake)) / 2, np.mean(of_model)


COMPARED = [("bce", 0.0), ("bce", 0.1), ("lsgan", 0.0), ("lsgan", 0.1), ("hinge", 0.0)]


def test_every_loss_has_a_reference():
    assert {kind for kind, _ in COMPARED} == set(ADVERSARIAL_LOSSES)


@pytest.mark.parametrize(("kind", "smoothing"), COMPARED)
def test_equals_the_reference(kind, smoothing):
    real, fake = scores(0), scores(1)
    loss = ADVERSARIAL_LOSSES[kind]
    for_discriminator, for_model = reference(kind, real, fake, 1 - smoothing)
    got = loss.discriminator(counted(real), counted(fake), smoothing)
    assert got.item() == pytest.approx(for_discriminator, rel=1e-5)
    assert loss.model(counted(fake)).item() == pytest.approx(for_model, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "smoothing", "middle"),
    [
        ("bce", 0.0, 0.0),
        ("lsgan", 0.0, 0.5),
        ("hinge", 0.0, 0.0),
        ("bce", 0.2, math.log(0.4 / 0.6)),
        ("lsgan", 0.2, 0.4),
    ],
)
def test_the_accuracies_are_shares_of_patches_on_their_side_of_a_score_that_cannot_tell(kind, smoothing, middle):
    real, fake = scores(0), scores(1)
    loss = ADVERSARIAL_LOSSES[kind]
    accuracies = loss.accuracies(counted(real), counted(fake), smoothing)
    assert [value.item() for value in accuracies] == pytest.approx([(real > middle).mean(), (fake <= middle).mean()])
    undecided = torch.full((1, 1, 1, 1), middle, requires_grad=True)
    value = loss.discriminator(counted(undecided), counted(undecided), smoothing)
    (gradient,) = torch.autograd.grad(value, undecided)
    assert gradient.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_patches_that_do_not_count_change_nothing(kind):
    loss, real, fake = ADVERSARIAL_LOSSES[kind], scores(0), scores(1)
    counts = np.ones(real.shape, dtype=np.float32)
    counts[:, :, 1] = 0
    got = (counted(real, counts), counted(fake, counts))
    kept = (counted(real[:, :, :1]), counted(fake[:, :, :1]))
    torch.testing.assert_close(loss.discriminator(*got), loss.discriminator(*kept))
    torch.testing.assert_close(loss.model(got[1]), loss.model(kept[1]))
    torch.testing.assert_close(loss.accuracies(*got), loss.accuracies(*kept))
    nothing = (counted(real, 0 * counts), counted(fake, 0 * counts))
    assert loss.discriminator(*nothing) == loss.model(nothing[1]) == 0


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_the_model_is_pushed_to_higher_scores_and_the_discriminator_away_from_them(kind):
    fake = torch.zeros(2, 1, 3, 3, requires_grad=True)
    (for_model,) = torch.autograd.grad(ADVERSARIAL_LOSSES[kind].model(counted(fake)), fake)
    assert (for_model < 0).all()
    raised = (fake + 0.1).detach().requires_grad_()
    loss = ADVERSARIAL_LOSSES[kind].discriminator(counted(torch.zeros(2, 1, 3, 3)), counted(raised))
    (for_discriminator,) = torch.autograd.grad(loss, raised)
    assert (for_discriminator > 0).all()


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_extreme_scores_stay_finite_in_float32_whatever_comes(kind):
    real, fake = torch.tensor([[[[1e4, -1e4]]]]).bfloat16(), torch.tensor([[[[-1e4, 1e4]]]]).bfloat16()
    loss = ADVERSARIAL_LOSSES[kind]
    values = loss.discriminator(counted(real), counted(fake)), loss.model(counted(fake))
    assert all(value.isfinite() and value.dtype == torch.float32 for value in values)


def test_label_smoothing_with_hinge_is_refused():
    with pytest.raises(ConfigError, match=r"gan\.label_smoothing must be 0 with gan\.loss hinge.*got 0\.1"):
        build_adversarial_loss(GanConfig(loss="hinge", label_smoothing=0.1))


def test_the_r1_penalty_of_a_known_function():
    # A pixel's score is (1.5 x)^2, where x is the sum of its two channels; the gradient by either channel is 4.5 x.
    image = np.random.default_rng(2).standard_normal((3, 2, 4, 5))
    counts = np.ones((3, 1, 4, 5), dtype=np.float32)
    counts[0, 0, :2] = 0
    x = image.sum(axis=1, keepdims=True)
    by_image = (2 * (4.5 * x) ** 2 * counts).sum(axis=(1, 2, 3)) / counts.sum(axis=(1, 2, 3))
    expected = by_image.mean() / 2
    image_BCHW = torch.tensor(image, dtype=torch.float32, requires_grad=True)
    scores_B1hw = (1.5 * image_BCHW.sum(dim=1, keepdim=True)) ** 2
    assert r1_penalty(counted(scores_B1hw, counts), image_BCHW).item() == pytest.approx(expected, rel=1e-5)


def test_the_r1_penalty_of_scores_that_share_pixels_is_of_the_gradient_of_their_sum():
    # Each of the two scores is three times the sum of three pixels; the middle two pixels count in both.
    image_BCHW = torch.rand(1, 1, 1, 4, requires_grad=True)
    scores_B1hw = 3 * torch.stack([image_BCHW[..., :3].sum(), image_BCHW[..., 1:].sum()]).reshape(1, 1, 1, 2)
    expected = (3**2 + 6**2 + 6**2 + 3**2) / 2 / 2
    assert r1_penalty(counted(scores_B1hw), image_BCHW).item() == pytest.approx(expected)


def test_the_r1_penalty_has_a_gradient_by_the_weights():
    weight = torch.tensor(1.5, requires_grad=True)
    image_BCHW = torch.ones(2, 3, 4, 4, requires_grad=True)
    r1_penalty(counted((weight * image_BCHW.sum(dim=1, keepdim=True)) ** 2), image_BCHW).backward()
    assert weight.grad > 0
