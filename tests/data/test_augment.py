import numpy as np
import pytest

from segray.data.augment import POLICIES, build_policy, training_size
from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX

IMAGE_SIZES = [(40, 60), (24, 90), (10, 12)]
CROPS = [(32, 32), (16, 48), (33, 20)]


def scene(size):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8), rng.integers(0, 4, size, dtype=np.uint8)


def draw(name, image_size, crop, seed=0):
    policy = build_policy(name, crop)
    policy.set_random_seed(seed)
    photo, label = scene(image_size)
    sample = policy(image=photo, mask=label)
    return sample["image"], sample["mask"]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("image_size", IMAGE_SIZES)
@pytest.mark.parametrize("crop", CROPS)
def test_output_has_exactly_the_size_asked_for(name, image_size, crop):
    for seed in range(5):
        photo, label = draw(name, image_size, crop, seed)
        assert photo.shape == (*crop, 3)
        assert label.shape == crop
        assert photo.dtype == label.dtype == np.uint8
        assert set(np.unique(label).tolist()) <= {0, 1, 2, 3, IGNORE_INDEX}


@pytest.mark.parametrize("name", POLICIES)
def test_pixels_without_image_are_void(name):
    for seed in range(5):
        _, label = draw(name, (10, 12), (64, 64), seed)
        assert (label == IGNORE_INDEX).mean() > 0.6


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize(("image_size", "least_whole", "least_labelled"), [((80, 120), 1, 1), ((40, 60), 0.6, 0.25)])
def test_only_what_zooming_out_lacks_is_padded(name, image_size, least_whole, least_labelled):
    """Images of twice the crop's size, which fill the window of the smallest zoom, and of just its size."""
    labelled = np.array([(draw(name, image_size, (40, 60), seed)[1] != IGNORE_INDEX).mean() for seed in range(80)])
    assert (labelled == 1).mean() >= least_whole
    assert labelled.min() >= least_labelled


def test_no_policy_leaves_a_whole_image_as_it_is():
    photo, label = draw("none", (40, 60), (40, 60))
    np.testing.assert_array_equal(photo, scene((40, 60))[0])
    np.testing.assert_array_equal(label, scene((40, 60))[1])


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_draws_the_same(name):
    first, second = draw(name, (40, 60), (32, 32), 7), draw(name, (40, 60), (32, 32), 7)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("name", POLICIES)
def test_other_seeds_draw_others(name):
    drawn = {draw(name, (40, 60), (32, 32), seed)[1].tobytes() for seed in range(20)}
    assert len(drawn) > 10


@pytest.mark.parametrize("name", POLICIES)
def test_photo_and_label_move_together(name):
    """Bright and dark tiles, some of each in any window, are where their labels are, wherever the policy puts them."""
    label = np.kron(np.random.default_rng(0).integers(0, 2, (8, 8), dtype=np.uint8), np.ones((8, 8), np.uint8))
    photo = np.stack([20 + 210 * label] * 3, axis=-1)
    policy = build_policy(name, (48, 48))
    for seed in range(30):
        policy.set_random_seed(seed)
        sample = policy(image=photo, mask=label)
        bright, dark = (sample["image"][sample["mask"] == train_id].mean() for train_id in (1, 0))
        assert bright > dark + 80


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown augmentation policy 'storng'; did you mean 'strong'\?"):
        build_policy("storng", (8, 8))


def test_training_size_is_the_crop_or_the_images_own(write_shard):
    shard = write_shard([(6, 8), (6, 8)])
    assert training_size(shard, (4, 4)) == (4, 4)
    assert training_size(shard, None) == (6, 8)


def test_unequal_images_without_a_crop_are_refused(write_shard):
    with pytest.raises(ConfigError, match=r"from \[6, 7\] to \[9, 8\]; set data\.crop_px"):
        training_size(write_shard([(6, 8), (9, 7)]), None)
