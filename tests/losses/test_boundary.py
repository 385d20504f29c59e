"""The boundary map, and the cross-entropy weighted by it, against loops over pixels."""

import numpy as np
import pytest
import torch

from segray.config import LossConfig
from segray.labels import IGNORE_INDEX
from segray.losses import build_loss
from segray.losses.boundary import boundary_map
from segray.losses.class_weights import balanced_weights

CLASS_PIXELS = (1000, 500, 100)


@pytest.fixture(name="labels_BHW")
def labels() -> torch.Tensor:
    """Return blocks of three classes, each about 4x5 pixels, with a strip and single pixels of void."""
    generator = torch.Generator().manual_seed(6)
    blocks = torch.randint(0, 3, (2, 4, 4), generator=generator)
    labels_BHW = blocks.repeat_interleave(4, 1).repeat_interleave(5, 2)[:, :15, :19]
    labels_BHW[:, 6:8] = IGNORE_INDEX
    labels_BHW[torch.rand(labels_BHW.shape, generator=generator) < 0.05] = IGNORE_INDEX
    return labels_BHW


def distances(labels_HW: np.ndarray) -> np.ndarray:
    """Return each labelled pixel's distance to the nearest pixel of another class; infinite for void or if none."""
    found = np.full(labels_HW.shape, np.inf)
    for row, column in np.argwhere(labels_HW != IGNORE_INDEX):
        others = (labels_HW != labels_HW[row, column]) & (labels_HW != IGNORE_INDEX)
        if others.any():
            found[row, column] = np.abs(np.argwhere(others) - (row, column)).max(axis=1).min()
    return found


def reference(labels_BHW: torch.Tensor, width_px: int, kind: str) -> np.ndarray:
    distances_BHW = np.stack([distances(labels_HW) for labels_HW in labels_BHW.numpy()])
    if kind == "hard":
        return (distances_BHW <= width_px).astype(float)
    return np.clip((width_px + 1 - distances_BHW) / width_px, 0, 1)


@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize("width_px", [1, 2, 3, 30])
def test_map_is_that_of_the_distance_to_another_class(labels_BHW, width_px, kind):
    got = boundary_map(labels_BHW, width_px, kind)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), reference(labels_BHW, width_px, kind), rtol=1e-6)


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_a_straight_boundary_is_as_wide_on_both_sides(kind):
    labels_BHW = torch.zeros(1, 1, 10, dtype=torch.uint8)
    labels_BHW[..., 5:] = 1
    expected = {"hard": [0, 0, 1, 1, 1, 1, 1, 1, 0, 0], "soft": [0, 0, 1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3, 0, 0]}
    torch.testing.assert_close(boundary_map(labels_BHW, 3, kind), torch.tensor([[expected[kind]]]).float())


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_void_makes_no_boundary(kind):
    labels_BHW = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels_BHW[:, 3:5, 2:] = IGNORE_INDEX
    assert not boundary_map(labels_BHW, 2, kind).any()


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_void_between_two_classes_counts_as_distance(kind):
    labels_BHW = torch.tensor([[[0, 0, 0, 255, 1, 1, 1]]])
    expected = {"hard": [0, 0, 1, 0, 1, 0, 0], "soft": [0, 0, 0.5, 0, 0.5, 0, 0]}
    torch.testing.assert_close(boundary_map(labels_BHW, 2, kind), torch.tensor([[expected[kind]]]).float())


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize(("weight", "width_px"), [(5, 1), (0.5, 3)])
def test_loss_equals_the_formula(labels_BHW, weight, width_px, kind, class_weights):
    logits_BCHW = 2 * torch.randn(2, 3, 15, 19, generator=torch.Generator().manual_seed(7))
    weights = balanced_weights(torch.tensor(CLASS_PIXELS)).numpy() if class_weights == "balanced" else np.ones(3)
    near_BHW = reference(labels_BHW, width_px, kind)
    log_BCHW = logits_BCHW.double().log_softmax(1).numpy()
    total = norm = 0.0
    for image, row, column in np.argwhere(labels_BHW.numpy() != IGNORE_INDEX):
        label = int(labels_BHW[image, row, column])
        pixel_weight = weights[label] * (1 + weight * near_BHW[image, row, column])
        total -= pixel_weight * log_BCHW[image, label, row, column]
        norm += pixel_weight
    config = LossConfig(
        name="boundary",
        boundary_weight=weight,
        boundary_width_px=width_px,
        boundary_kind=kind,
        class_weights=class_weights,
    )
    assert build_loss(config, CLASS_PIXELS)(logits_BCHW, labels_BHW).item() == pytest.approx(total / norm, rel=1e-5)


def test_without_weight_it_is_cross_entropy(labels_BHW):
    logits_BCHW = torch.randn(2, 3, 15, 19, generator=torch.Generator().manual_seed(7))
    plain = build_loss(LossConfig(), CLASS_PIXELS)(logits_BCHW, labels_BHW)
    got = build_loss(LossConfig(name="boundary", boundary_weight=0), CLASS_PIXELS)(logits_BCHW, labels_BHW)
    torch.testing.assert_close(got, plain)
