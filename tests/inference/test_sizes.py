from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from segray.errors import ConfigError
from segray.inference import resizing
from segray.inference.averages import Ensemble, augmented, log_mean_probability
from segray.inference.resizing import labels_at, logits_at, probabilities_at
from segray.inference.windows import Windows, gaussian_weights, window_starts


@pytest.mark.parametrize("size_px", [(37, 61), (5, 4), (11, 200), (13, 17), (1, 1)])
@pytest.mark.parametrize("band_pixels", [1, 100, 10**6])
def test_logits_are_resized_as_torch_does_it_whatever_the_bands(monkeypatch, seeded, size_px, band_pixels):
    monkeypatch.setattr(resizing, "BAND_PIXELS", band_pixels)
    logits_CHW = torch.randn(3, 13, 17)
    expected = F.interpolate(logits_CHW[None], size_px, mode="bilinear", align_corners=False)[0]
    assert torch.allclose(logits_at(logits_CHW, size_px), expected, atol=1e-5)
    assert labels_at(logits_CHW, size_px).shape == size_px
    assert (labels_at(logits_CHW, size_px) == expected.argmax(0).numpy()).mean() >= 0.999
    assert np.allclose(probabilities_at(logits_CHW, size_px), expected.softmax(0).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "window", "overlap", "starts"),
    [
        (10, 10, 0.5, [0]),
        (11, 10, 0.5, [0, 1]),
        (20, 10, 0.0, [0, 10]),
        (20, 10, 0.5, [0, 5, 10]),
        (7, 3, 0.9, [0, 1, 2, 3, 4]),
    ],
)
def test_windows_cover_a_side(side, window, overlap, starts):
    assert window_starts(side, window, overlap) == starts


def test_windows_of_any_side_reach_both_ends_and_overlap_as_asked():
    for side in range(1, 60):
        for window in range(1, side + 1):
            starts = window_starts(side, window, 0.25)
            assert starts[0] == 0
            assert starts[-1] == side - window
            assert all(b - a <= max(int(window * 0.75), 1) for a, b in pairwise(starts))


def reference(forward, photo_1CHW, size_px, overlap):
    """Blend windows pixel for pixel, in double precision."""
    height, width = size_px
    weights = gaussian_weights(size_px).double()
    total = torch.zeros(2, *photo_1CHW.shape[-2:], dtype=torch.float64)
    sums = torch.zeros(photo_1CHW.shape[-2:], dtype=torch.float64)
    for top in window_starts(photo_1CHW.shape[-2], height, overlap):
        for left in window_starts(photo_1CHW.shape[-1], width, overlap):
            part = forward(photo_1CHW[..., top : top + height, left : left + width])[0].double()
            for row in range(height):
                for column in range(width):
                    total[:, top + row, left + column] += weights[row, column] * part[:, row, column]
                    sums[top + row, left + column] += weights[row, column]
    return total / sums


@pytest.mark.parametrize("batch_size", [1, 3])
def test_windows_blend_as_nested_loops_do(seeded, batch_size):
    network = torch.nn.Conv2d(3, 2, 5, padding=2).requires_grad_(False)
    photos_BCHW = torch.rand(2, 3, 23, 30)
    blended = Windows(network, (9, 12), 0.4, batch_size)(photos_BCHW)
    for photo_CHW, found in zip(photos_BCHW, blended, strict=True):
        assert torch.allclose(found.double(), reference(network, photo_CHW[None], (9, 12), 0.4), atol=1e-5)


def test_a_window_larger_than_the_photo_is_the_photo(seeded):
    network = torch.nn.Conv2d(3, 2, 5, padding=2).requires_grad_(False)
    photo = torch.rand(1, 3, 7, 9)
    assert torch.equal(Windows(network, (32, 32))(photo), network(photo))


@pytest.mark.parametrize(("size_px", "overlap"), [((0, 4), 0.5), ((4, 4), 1.0), ((4, 4), -0.1)])
def test_windows_that_cannot_work(size_px, overlap):
    with pytest.raises(ConfigError, match="window"):
        Windows(torch.nn.Identity(), size_px, overlap)


def test_the_mean_probability_of_members():
    logits = [torch.tensor([[1.0, 3.0]])[..., None, None], torch.tensor([[2.0, -1.0]])[..., None, None]]
    expected = (logits[0].softmax(1) + logits[1].softmax(1)) / 2
    assert torch.allclose(log_mean_probability(iter(logits)).softmax(1), expected)
    assert torch.allclose(Ensemble([lambda _: logits[0], lambda _: logits[1]])(None).softmax(1), expected)


def test_a_flip_alone_makes_the_prediction_of_a_mirror_the_mirrored_prediction(seeded):
    network = torch.nn.Conv2d(3, 2, 5, padding=2).requires_grad_(False)
    photo = torch.rand(1, 3, 7, 9) * 255
    both = augmented(network, "flip")
    assert torch.allclose(both(photo.flip(-1)), both(photo).flip(-1), atol=1e-4)
    assert not torch.allclose(network(photo.flip(-1)), network(photo).flip(-1), atol=1e-4)


def test_scales_average_the_resized_predictions(seeded):
    network = torch.nn.Conv2d(3, 2, 5, padding=2).requires_grad_(False)
    photo = torch.rand(1, 3, 20, 16) * 255
    half = F.interpolate(photo, (10, 8), mode="bilinear", antialias=True, align_corners=False)
    enlarged = F.interpolate(network(half), (20, 16), mode="bilinear", align_corners=False)
    expected = (network(photo).softmax(1) + enlarged.softmax(1)) / 2
    assert torch.allclose(augmented(network, "0.5, 1")(photo).softmax(1), expected, atol=1e-5)


@pytest.mark.parametrize("choices", ["flop", "0", "nan", "11", "flip,-1"])
def test_an_augmentation_that_is_unknown(choices):
    with pytest.raises(ConfigError, match="--tta must list flip or factors"):
        augmented(torch.nn.Identity(), choices)
