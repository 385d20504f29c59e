import albumentations as A
import numpy as np
import pytest

from segray.config import AugmentConfig, DataConfig
from segray.data.batches.augmentation import POLICIES, build_pipeline, strengths, training_size
from segray.data.batches.weather import weather
from segray.errors import ConfigError


def tiles(size):
    """Bright and dark tiles, labelled 1 and 0."""
    label = np.random.default_rng(0).integers(0, 2, [-(-side // 8) for side in size], dtype=np.uint8)
    label = np.kron(label, np.ones((8, 8), np.uint8))[: size[0], : size[1]]
    return np.stack([20 + 210 * label] * 3, axis=-1), label


def draws(augment, size=(48, 64), number=30):
    pipeline = build_pipeline(augment, size)
    pipeline.set_random_seed(0)
    photo, label = tiles(size)
    return [pipeline(image=photo, mask=label) for _ in range(number)]


EACH_PART = {
    "brightness": AugmentConfig(brightness=0.5, mirror=0),
    "contrast": AugmentConfig(contrast=0.5, mirror=0),
    "gamma": AugmentConfig(gamma=1, mirror=0),
    "blur": AugmentConfig(blur=1, mirror=0),
    "noise": AugmentConfig(noise=1, mirror=0),
    "weather": AugmentConfig(weather=1, mirror=0),
}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("size", [(48, 64), (33, 20), (16, 16)])
def test_size_and_type_stay(name, size):
    for sample in draws(POLICIES[name], size):
        assert sample["image"].shape == (*size, 3)
        assert sample["mask"].shape == size
        assert sample["image"].dtype == sample["mask"].dtype == np.uint8


@pytest.mark.parametrize("name", POLICIES)
def test_photo_and_label_move_together(name):
    for sample in draws(POLICIES[name]):
        bright, dark = (sample["image"][sample["mask"] == train_id].mean() for train_id in (1, 0))
        assert bright > dark + 60


@pytest.mark.parametrize("augment", EACH_PART.values(), ids=EACH_PART)
def test_each_part_changes_the_photo_and_never_the_label(augment):
    photo, label = tiles((48, 64))
    samples = draws(augment)
    assert np.mean([(sample["image"] != photo).any() for sample in samples]) > 0.5
    assert all((sample["mask"] == label).all() for sample in samples)


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (31, 97), (96, 33)])
def test_every_weather_takes_crops_of_any_size(size):
    photo, label = tiles(size)
    for transform in weather(size):
        sample = A.Compose([transform])(image=photo, mask=label)
        assert (sample["image"].shape, sample["image"].dtype) == ((*size, 3), np.uint8)
        np.testing.assert_array_equal(sample["mask"], label)


def test_hue_and_saturation_leave_grey_pixels_grey():
    photo, _ = tiles((48, 64))
    for sample in draws(AugmentConfig(hue=0.5, saturation=1, mirror=0)):
        np.testing.assert_array_equal(sample["image"], photo)


def test_a_mirror_of_probability_one_mirrors_always():
    photo, label = tiles((48, 64))
    for sample in draws(AugmentConfig(mirror=1), number=5):
        np.testing.assert_array_equal(sample["image"], photo[:, ::-1])
        np.testing.assert_array_equal(sample["mask"], label[:, ::-1])


def test_strengths_of_nothing_change_nothing():
    photo, label = tiles((48, 64))
    for sample in draws(AugmentConfig(mirror=0), number=5):
        np.testing.assert_array_equal(sample["image"], photo)
        np.testing.assert_array_equal(sample["mask"], label)


def test_a_named_policy_has_its_own_strengths_and_custom_those_of_the_config():
    config = DataConfig(policy="medium", augment=AugmentConfig(zoom=3))
    assert strengths(config) == POLICIES["medium"]
    assert strengths(config.model_copy(update={"policy": "custom"})) == AugmentConfig(zoom=3)


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown augmentation policy 'storng'; did you mean 'strong'"):
        strengths(DataConfig(policy="storng"))


def test_training_size_is_the_crop_or_the_images_own(write_shard):
    shard = write_shard([(6, 8), (6, 8)])
    assert training_size(shard, (4, 4)) == (4, 4)
    assert training_size(shard, None) == (6, 8)


def test_unequal_images_without_a_crop_are_refused(write_shard):
    with pytest.raises(ConfigError, match=r"from \[6, 7\] to \[9, 8\]; set data\.crop_px"):
        training_size(write_shard([(6, 8), (9, 7)]), None)
