import numpy as np
import pytest

from segray.errors import ConfigError
from segray.inference.corruptions import CORRUPTIONS, STRENGTHS


@pytest.fixture(scope="module")
def photo():
    """A photo with large shapes and fine texture."""
    random = np.random.default_rng(0)
    coarse = random.integers(40, 220, (8, 12, 3))
    textured = np.kron(coarse, np.ones((40, 40, 1))) + random.normal(0, 8, (320, 480, 3))
    return textured.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_strength_changes_the_photo_more_and_keeps_shape_and_kind(photo, name):
    before = photo.copy()
    found = [CORRUPTIONS[name](photo, strength, 5) for strength in STRENGTHS]
    np.testing.assert_array_equal(photo, before)
    assert all((one.shape, one.dtype) == (photo.shape, np.uint8) for one in found)
    changes = [np.abs(one.astype(float) - photo).mean() for one in found]
    assert changes == sorted(changes)
    assert 0.5 < changes[0] < changes[-1] < 130
    # Something of the photo is left at the largest strength.
    assert np.corrcoef(found[-1].mean(2).ravel(), photo.mean(2).ravel())[0, 1] > 0.2


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_seed_repeats_the_photo_and_another_one_changes_what_is_drawn(photo, name):
    first, again, other = (CORRUPTIONS[name](photo, 3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() == (name not in ("blur", "jpeg"))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("size_px", [(1, 1), (1, 300), (7, 5)])
def test_photos_of_any_size_can_be_corrupted(name, size_px):
    tiny = np.full((*size_px, 3), 128, np.uint8)
    for strength in STRENGTHS:
        assert CORRUPTIONS[name](tiny, strength, 0).shape == tiny.shape


@pytest.mark.parametrize("strength", [0, 6])
def test_other_strengths_are_refused(photo, strength):
    with pytest.raises(ConfigError, match="from 1 to 5, but got"):
        CORRUPTIONS["fog"](photo, strength, 0)
