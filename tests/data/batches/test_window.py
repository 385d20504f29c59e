import numpy as np
import pytest

from segray.data.batches.window import PADDING_RGB, Window, cut, draw_window
from segray.labels import IGNORE_INDEX


def scene(size):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8), rng.integers(0, 4, size, dtype=np.uint8)


def draw_many(image, crop, zoom=1.0, anchor=None, number=300):
    rng = np.random.default_rng(0)
    return [draw_window(rng, image, crop, zoom, anchor) for _ in range(number)]


@pytest.mark.parametrize("image", [(40, 60), (24, 90), (10, 12), (1, 1)])
@pytest.mark.parametrize("crop", [(32, 32), (16, 48), (33, 20)])
def test_a_crop_has_exactly_the_size_asked_for(image, crop):
    for window in draw_many(image, crop, zoom=2, number=20):
        photo, label = cut(*scene(image), window, crop)
        assert (photo.shape, label.shape) == ((*crop, 3), crop)
        assert photo.dtype == label.dtype == np.uint8
        assert set(np.unique(label).tolist()) <= {0, 1, 2, 3, IGNORE_INDEX}


def test_without_a_zoom_a_crop_is_the_images_own_pixels():
    photo, label = scene((40, 60))
    cropped, cropped_label = cut(photo, label, Window(3, 7, 16, 32), (16, 32))
    np.testing.assert_array_equal(cropped, photo[3:19, 7:39])
    np.testing.assert_array_equal(cropped_label, label[3:19, 7:39])


def test_windows_reach_every_position_equally_often():
    windows = draw_many((5, 7), (4, 4), number=4000)
    counts = np.unique([(window.top, window.left) for window in windows], axis=0, return_counts=True)[1]
    assert len(counts) == 2 * 4
    assert counts.min() > 0.85 * 4000 / 8


def test_zooms_are_even_on_a_log_scale():
    scales = np.array([400 / window.height for window in draw_many((900, 900), (400, 400), zoom=2, number=3000)])
    assert scales.min() >= 0.5
    assert scales.max() <= 2.01
    assert np.histogram(np.log(scales), bins=4)[0].min() > 0.85 * 3000 / 4


@pytest.mark.parametrize("zoom", [1.5, 2])
def test_a_window_lies_inside_an_image_that_can_hold_it(zoom):
    for top, left, height, width in draw_many((80, 120), (40, 60), zoom):
        assert 0 <= top <= 80 - height
        assert 0 <= left <= 120 - width


def test_a_window_larger_than_the_image_holds_all_of_it():
    for top, left, height, width in draw_many((10, 90), (32, 48)):
        assert top <= 0
        assert top + height >= 10
        assert 0 <= left <= 90 - width


def test_what_the_image_does_not_cover_is_void_and_of_the_mean_colour():
    photo, label = scene((10, 12))
    padded, padded_label = cut(photo, label, Window(-3, -5, 16, 32), (16, 32))
    np.testing.assert_array_equal(padded[3:13, 5:17], photo)
    np.testing.assert_array_equal(padded_label[3:13, 5:17], label)
    outside = np.ones((16, 32), bool)
    outside[3:13, 5:17] = False
    assert (padded_label[outside] == IGNORE_INDEX).all()
    assert (padded[outside] == PADDING_RGB).all()


@pytest.mark.parametrize("window", [Window(1, 2, 20, 30), Window(0, 0, 96, 128)])
def test_photo_and_label_are_resized_alike(window):
    label = np.kron(np.random.default_rng(0).integers(0, 2, (8, 8), dtype=np.uint8), np.ones((16, 16), np.uint8))
    photo, resized = cut(np.stack([255 * label] * 3, axis=-1), label, window, (48, 64))
    assert ((photo[..., 0] > 127) == resized)[resized != IGNORE_INDEX].mean() > 0.97


@pytest.mark.parametrize("zoom", [1, 2])
@pytest.mark.parametrize("crop", [(16, 16), (64, 20)])
def test_a_window_contains_its_anchor_anywhere(crop, zoom):
    windows = draw_many((50, 70), crop, zoom, anchor=(2, 69))
    for top, left, height, width in windows:
        assert top <= 2 < top + height
        assert left <= 69 < left + width
    assert len({window.top for window in windows}) >= 3
