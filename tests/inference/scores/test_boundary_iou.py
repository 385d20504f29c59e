import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, generate_binary_structure

from segray.inference.scores.boundary import BoundaryIou, band


def blobs(seed, size_px=(60, 90), num_classes=4, void=0.0):
    """Return a label image of a few large regions, with some void."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, num_classes, (size_px[0] // 10, size_px[1] // 10))
    coarse[random.random(coarse.shape) < void] = 255
    return np.kron(coarse, np.ones((10, 10), int)).astype(np.uint8)


def eroded_band(mask, width):
    """Return the band as the authors define it: what `width` erosions by 3x3 take from a padded mask."""
    kept = binary_erosion(np.pad(mask, 1), generate_binary_structure(2, 2), iterations=width)[1:-1, 1:-1]
    return mask & ~kept


@pytest.mark.parametrize("size_px", [(60, 90), (20, 150), (10, 10)])
def test_the_band_of_every_class_is_what_an_erosion_takes_from_it(size_px):
    ids = blobs(1, size_px)
    width = max(round(0.02 * math.hypot(*size_px)), 1)
    for class_id in range(4):
        np.testing.assert_array_equal(band(ids) & (ids == class_id), eroded_band(ids == class_id, width))


def test_boundary_iou_without_void_is_that_of_the_authors_summed_over_images():
    found, both, either = BoundaryIou(4), np.zeros(4), np.zeros(4)
    for seed in (1, 2, 3):
        truth, predicted = blobs(seed), blobs(seed + (seed == 2))
        found.add(predicted, truth)
        width = round(0.02 * math.hypot(*truth.shape))
        for class_id in range(4):
            bands = [eroded_band(ids == class_id, width) for ids in (truth, predicted)]
            both[class_id] += (bands[0] & bands[1]).sum()
            either[class_id] += (bands[0] | bands[1]).sum()
    iou, mean = found.result(np.ones(4, bool))
    assert iou == pytest.approx(both / either)
    assert mean == pytest.approx((both / either).mean())
    assert mean < 0.9


def test_void_counts_on_neither_side_and_its_edge_is_no_edge():
    truth = np.zeros((100, 100), np.uint8)
    truth[30:60, 30:60] = 255
    predicted = truth.copy()
    predicted[30:60, 30:60] = 1
    assert not band(truth)[25:65, 25:65].any()
    found = BoundaryIou(2)
    found.add(predicted, truth)
    assert found.result(np.array([True, False])) == ((1.0, None), 1.0)


def test_a_class_that_the_labels_lack_is_not_in_the_mean_but_costs_the_true_one():
    truth = np.zeros((100, 100), np.uint8)
    predicted = truth.copy()
    predicted[40:60, 40:60] = 1
    found = BoundaryIou(2)
    found.add(predicted, truth)
    iou, mean = found.result(np.array([True, False]))
    assert iou[1] is None
    assert mean == iou[0]
    assert 0 < mean < 1


def test_nothing_but_void_has_no_score():
    found = BoundaryIou(2)
    found.add(np.zeros((5, 5), np.uint8), np.full((5, 5), 255, np.uint8))
    assert found.result(np.zeros(2, bool)) == ((None, None), None)
