"""Every loss against its own reference: torch, SMP where SMP is right, or NumPy loops over pixels and classes."""

import math

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor

from segray.config import LossConfig, RunConfig
from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX
from segray.losses import build_loss, check_loss
from segray.losses.class_weights import balanced_weights

NUM_CLASSES = 4
CLASS_PIXELS = (1000, 500, 100, 0)


@pytest.fixture(params=[0.1, 1.0, 6.0], ids=["unsure", "plain", "sure"], name="logits_BCHW")
def logits(request) -> Tensor:
    return request.param * torch.randn(2, NUM_CLASSES, 15, 17, generator=torch.Generator().manual_seed(3))


@pytest.fixture(name="labels_BHW")
def labels() -> Tensor:
    """Return labels with void pixels; class 3 is absent."""
    labels_BHW = torch.randint(0, NUM_CLASSES - 1, (2, 15, 17), generator=torch.Generator().manual_seed(4))
    labels_BHW[:, 2:5] = IGNORE_INDEX
    return labels_BHW


def value(logits_BCHW: Tensor, labels_BHW: Tensor, **config) -> Tensor:
    return build_loss(LossConfig(**config), CLASS_PIXELS)(logits_BCHW, labels_BHW)


def labelled(logits_BCHW: Tensor, labels_BHW: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return softmax probabilities (N, C), in float64, and labels (N,) of the labelled pixels."""
    probabilities_NC = logits_BCHW.double().softmax(1).permute(0, 2, 3, 1).reshape(-1, NUM_CLASSES).numpy()
    labels_N = labels_BHW.reshape(-1).numpy()
    kept = labels_N != IGNORE_INDEX
    return probabilities_NC[kept], labels_N[kept]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("class_weights", ["none", "balanced", (0.1, 0.5, 3.0, 1.0)])
def test_cross_entropy_equals_torch(logits_BCHW, labels_BHW, class_weights, smoothing):
    weights = {"none": None, "balanced": balanced_weights(torch.tensor(CLASS_PIXELS))}.get(
        class_weights, torch.tensor(class_weights) if isinstance(class_weights, tuple) else None
    )
    expected = F.cross_entropy(logits_BCHW, labels_BHW, weights, ignore_index=255, label_smoothing=smoothing)
    got = value(logits_BCHW, labels_BHW, class_weights=class_weights, label_smoothing=smoothing)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_equals_the_formula(logits_BCHW, labels_BHW, gamma, class_weights):
    weights = balanced_weights(torch.tensor(CLASS_PIXELS)).numpy() if class_weights == "balanced" else np.ones(4)
    total = norm = 0.0
    for probabilities, label in zip(*labelled(logits_BCHW, labels_BHW), strict=True):
        total += weights[label] * (1 - probabilities[label]) ** gamma * -math.log(probabilities[label])
        norm += weights[label]
    got = value(logits_BCHW, labels_BHW, name="focal", focal_gamma=gamma, class_weights=class_weights)
    assert got.item() == pytest.approx(total / norm, rel=1e-4)


@pytest.mark.parametrize("alpha", [0.25, "balanced", (0.25, 0.5, 2.0, 1.0)])
def test_focal_alpha_weighs_pixels_and_is_not_divided_out(logits_BCHW, labels_BHW, alpha):
    balanced = balanced_weights(torch.tensor(CLASS_PIXELS)).numpy()
    alphas = balanced if alpha == "balanced" else np.broadcast_to(alpha, NUM_CLASSES)
    probabilities_NC, labels_N = labelled(logits_BCHW, labels_BHW)
    true_N = probabilities_NC[np.arange(len(labels_N)), labels_N]
    expected = np.mean(alphas[labels_N] * (1 - true_N) ** 2 * -np.log(true_N))
    got = value(logits_BCHW, labels_BHW, name="focal", focal_alpha=alpha)
    assert got.item() == pytest.approx(expected, rel=1e-4)


def test_focal_with_one_alpha_is_that_much_of_the_loss_with_class_weights(logits_BCHW, labels_BHW):
    whole = value(logits_BCHW, labels_BHW, name="focal", class_weights="balanced")
    got = value(logits_BCHW, labels_BHW, name="focal", class_weights="balanced", focal_alpha=0.25)
    torch.testing.assert_close(got, 0.25 * whole)


@pytest.mark.parametrize("class_weights", ["balanced", (1, 1, 1, 2)])
@pytest.mark.parametrize("alpha", ["balanced", (1, 1, 1, 2)])
def test_focal_that_weighs_classes_twice_is_refused(alpha, class_weights):
    with pytest.raises(ConfigError, match=r"loss\.focal_alpha and loss\.class_weights both weigh"):
        build_loss(LossConfig(name="focal", focal_alpha=alpha, class_weights=class_weights), CLASS_PIXELS)


@pytest.mark.parametrize("key", ["class_weights", "focal_alpha"])
def test_numbers_for_other_classes_than_there_are_are_refused(key):
    config = LossConfig(name="focal", **{key: (1, 2, 3)})
    check_loss(config)
    with pytest.raises(ConfigError, match=rf"loss\.{key} must have one number for each of the 4 classes.*but has 3"):
        build_loss(config, CLASS_PIXELS)


@pytest.mark.parametrize("alpha", ["balancd", 0, 1.5, math.nan, None, True, [], [1, 0], [1, "2"]])
def test_a_focal_alpha_that_cannot_work_is_one_error_with_the_rule(alpha):
    with pytest.raises(ConfigError) as error:
        RunConfig().with_values({"loss.focal_alpha": alpha})
    rule = "loss.focal_alpha: must be a number above 0 and at most 1, balanced, or numbers above 0, one for each class"
    assert str(error.value) == f"{rule}, but got {alpha!r}"


@pytest.mark.parametrize("weights", ["balancd", 1, None, [], [1, 0], [1, -1], [1, math.inf], [1, True]])
def test_class_weights_that_cannot_work_are_one_error_with_the_rule(weights):
    with pytest.raises(ConfigError) as error:
        RunConfig().with_values({"loss.class_weights": weights})
    rule = "loss.class_weights: must be none, balanced, or numbers above 0, one for each class"
    assert str(error.value) == f"{rule}, but got {weights!r}"


def test_focal_below_gamma_one_has_finite_gradients_at_sure_pixels(labels_BHW):
    logits_BCHW = torch.zeros(2, NUM_CLASSES, 15, 17)
    logits_BCHW[:, 0] = 200
    logits_BCHW.requires_grad_()
    value(logits_BCHW, labels_BHW, name="focal", focal_gamma=0.5).backward()
    assert logits_BCHW.grad.isfinite().all()


@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_ohem_is_the_mean_over_the_hardest_pixels(logits_BCHW, labels_BHW, fraction):
    probabilities_NC, labels_N = labelled(logits_BCHW, labels_BHW)
    losses = sorted((-math.log(p[label]) for p, label in zip(probabilities_NC, labels_N, strict=True)), reverse=True)
    expected = np.mean(losses[: math.ceil(fraction * len(losses))])
    got = value(logits_BCHW, labels_BHW, name="ohem", ohem_fraction=fraction)
    assert got.item() == pytest.approx(expected, rel=1e-4)


def test_ohem_with_class_weights_takes_the_hardest_by_weighted_loss(logits_BCHW, labels_BHW):
    weights = balanced_weights(torch.tensor(CLASS_PIXELS)).numpy()
    probabilities_NC, labels_N = labelled(logits_BCHW, labels_BHW)
    losses_N = weights[labels_N] * -np.log(probabilities_NC[np.arange(len(labels_N)), labels_N])
    hardest = np.argsort(-losses_N)[: math.ceil(0.3 * len(losses_N))]
    got = value(logits_BCHW, labels_BHW, name="ohem", ohem_fraction=0.3, class_weights="balanced")
    assert got.item() == pytest.approx(losses_N[hardest].sum() / weights[labels_N[hardest]].sum(), rel=1e-4)


def test_ohem_gives_gradients_to_the_hardest_pixels_only(logits_BCHW, labels_BHW):
    logits_BCHW.requires_grad_()
    value(logits_BCHW, labels_BHW, name="ohem", ohem_fraction=0.1).backward()
    num_labelled = int((labels_BHW != IGNORE_INDEX).sum())
    assert int((logits_BCHW.grad.abs().sum(1) > 0).sum()) == math.ceil(0.1 * num_labelled)


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_ohem_of_all_pixels_is_cross_entropy(logits_BCHW, labels_BHW, class_weights):
    got = value(logits_BCHW, labels_BHW, name="ohem", ohem_fraction=1.0, class_weights=class_weights)
    torch.testing.assert_close(got, value(logits_BCHW, labels_BHW, class_weights=class_weights))


def tversky(probabilities_NC: np.ndarray, labels_N: np.ndarray, alpha: float, beta: float, gamma: float = 1.0) -> float:
    losses = []
    for label in sorted(set(labels_N.tolist())):
        truth = labels_N == label
        true_positives = probabilities_NC[truth, label].sum()
        false_positives = probabilities_NC[~truth, label].sum()
        false_negatives = (1 - probabilities_NC[truth, label]).sum()
        index = true_positives / (true_positives + alpha * false_positives + beta * false_negatives)
        losses.append((1 - index) ** (1 / gamma))
    return float(np.mean(losses))


@pytest.mark.parametrize(
    ("config", "alpha", "beta"),
    [
        ({"name": "dice"}, 0.5, 0.5),
        ({"name": "jaccard"}, 1.0, 1.0),
        ({"name": "tversky"}, 0.3, 0.7),
        ({"name": "tversky", "tversky_alpha": 0.9, "tversky_beta": 0.2}, 0.9, 0.2),
    ],
)
def test_region_losses_equal_the_formula(logits_BCHW, labels_BHW, config, alpha, beta):
    expected = tversky(*labelled(logits_BCHW, labels_BHW), alpha, beta)
    assert value(logits_BCHW, labels_BHW, **config).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("config", "alpha", "beta", "gamma"),
    [
        ({}, 0.3, 0.7, 4 / 3),
        ({"tversky_alpha": 0.5, "tversky_beta": 0.5, "tversky_gamma": 3}, 0.5, 0.5, 3),
        ({"tversky_gamma": 1}, 0.3, 0.7, 1),
    ],
)
def test_focal_tversky_equals_the_formula(logits_BCHW, labels_BHW, config, alpha, beta, gamma):
    expected = tversky(*labelled(logits_BCHW, labels_BHW), alpha, beta, gamma)
    got = value(logits_BCHW, labels_BHW, name="focal_tversky", **config)
    assert got.item() == pytest.approx(expected, rel=1e-4)


def test_focal_tversky_has_finite_gradients_at_nearly_perfect_logits(labels_BHW):
    classes_BHW = labels_BHW.where(labels_BHW != IGNORE_INDEX, 0)
    for certainty in (5.0, 12.0, 15.0, 17.0, 40.0):
        logits_BCHW = (certainty * F.one_hot(classes_BHW, NUM_CLASSES).movedim(-1, 1)).requires_grad_()
        value(logits_BCHW, labels_BHW, name="focal_tversky").backward()
        assert logits_BCHW.grad.abs().max() < 0.1


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("dice", smp.losses.DiceLoss("multiclass", ignore_index=255)),
        ("jaccard", smp.losses.JaccardLoss("multiclass", ignore_index=255)),
        ("tversky", smp.losses.TverskyLoss("multiclass", ignore_index=255, alpha=0.3, beta=0.7)),
    ],
)
def test_region_losses_equal_smp_where_every_class_is_present(logits_BCHW, labels_BHW, name, reference):
    labels_BHW[:, 10:12] = 3
    got = value(logits_BCHW, labels_BHW, name=name)
    torch.testing.assert_close(got, reference(logits_BCHW, labels_BHW), rtol=1e-4, atol=1e-5)


def lovasz(probabilities_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """Compute eq. 9 of the paper by its definition: set functions of the wrong pixels, added one at a time."""
    losses = []
    for index in sorted(set(labels_N.tolist())):
        truth = labels_N == index
        errors = np.where(truth, 1 - probabilities_NC[:, index], probabilities_NC[:, index])
        loss = jaccard_before = 0.0
        missed = wrong = 0
        for pixel in np.argsort(-errors):
            missed, wrong = missed + truth[pixel], wrong + (not truth[pixel])
            jaccard = 1 - (truth.sum() - missed) / (truth.sum() + wrong)
            loss += errors[pixel] * (jaccard - jaccard_before)
            jaccard_before = jaccard
        losses.append(loss)
    return float(np.mean(losses))


def test_lovasz_equals_the_definition_to_a_bin(logits_BCHW, labels_BHW):
    expected = lovasz(*labelled(logits_BCHW, labels_BHW))
    assert value(logits_BCHW, labels_BHW, name="lovasz").item() == pytest.approx(expected, abs=1 / 4096)


def test_lovasz_equals_smp_to_a_bin(logits_BCHW, labels_BHW):
    expected = smp.losses.LovaszLoss("multiclass", ignore_index=255)(logits_BCHW, labels_BHW)
    got = value(logits_BCHW, labels_BHW, name="lovasz")
    torch.testing.assert_close(got, expected, rtol=0, atol=1 / 4096)


def test_lovasz_of_hard_predictions_is_the_jaccard_loss(labels_BHW):
    guesses_BHW = torch.randint(0, NUM_CLASSES - 1, labels_BHW.shape, generator=torch.Generator().manual_seed(5))
    logits_BCHW = 100.0 * F.one_hot(guesses_BHW, NUM_CLASSES).movedim(-1, 1)
    kept = labels_BHW != IGNORE_INDEX
    truth, guesses = labels_BHW[kept], guesses_BHW[kept]
    ious = [((truth == c) & (guesses == c)).sum() / ((truth == c) | (guesses == c)).sum() for c in range(3)]
    assert value(logits_BCHW, labels_BHW, name="lovasz").item() == pytest.approx(1 - np.mean(ious), abs=1e-4)


def test_sum_is_the_weighted_sum_of_its_terms(logits_BCHW, labels_BHW):
    expected = 0.5 * value(logits_BCHW, labels_BHW) + 2 * value(logits_BCHW, labels_BHW, name="lovasz")
    torch.testing.assert_close(value(logits_BCHW, labels_BHW, name="0.5*cross_entropy+2*lovasz"), expected)


@pytest.mark.parametrize("config", [{}, {"name": "focal"}, {"name": "focal", "focal_alpha": "balanced"}], ids=str)
def test_means_over_pixels_are_those_of_their_parts_by_labelled_pixels(logits_BCHW, labels_BHW, config):
    labels_BHW[0, :9] = IGNORE_INDEX
    parts = [value(logits_BCHW[i : i + 1], labels_BHW[i : i + 1], **config) for i in range(2)]
    counts = (labels_BHW != IGNORE_INDEX).sum(dim=(1, 2))
    torch.testing.assert_close(
        value(logits_BCHW, labels_BHW, **config), (torch.stack(parts) * counts).sum() / counts.sum()
    )


def test_balanced_weights_are_those_of_enet_scaled_to_a_mean_of_one():
    raw = [1 / math.log(1.02 + pixels / 1600) for pixels in CLASS_PIXELS]
    expected = torch.tensor(raw) / (sum(raw) / len(raw))
    torch.testing.assert_close(balanced_weights(torch.tensor(CLASS_PIXELS)), expected)


def test_balanced_weights_without_any_pixel_are_equal():
    torch.testing.assert_close(balanced_weights(torch.zeros(3)), torch.ones(3))


@pytest.mark.parametrize("name", ["tversky", "focal_tversky"])
def test_tversky_without_any_weight_is_refused(name):
    with pytest.raises(ConfigError, match=r"tversky_alpha .* must be above 0"):
        build_loss(LossConfig(name=name, tversky_alpha=0, tversky_beta=0), CLASS_PIXELS)
