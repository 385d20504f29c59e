import pickle

import numpy as np
import pytest

from segray.config import DataConfig
from segray.data.augment import POLICIES
from segray.data.sampling import TrainSamples
from segray.labels import IGNORE_INDEX


@pytest.fixture
def shard(write_shard):
    return write_shard([(40, 60)] * 3)


def samples(shard, seed=0, **data):
    return TrainSamples(shard, DataConfig(**{"crop_px": (32, 32), "policy": "strong", **data}), seed)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_sample_follows_from_seed_epoch_and_image_alone(shard, policy):
    first, second = samples(shard, policy=policy), samples(shard, policy=policy)
    second.draw(2, 0)
    for drawn, again in zip(first.draw(1, 2), second.draw(1, 2), strict=True):
        np.testing.assert_array_equal(drawn, again)


@pytest.mark.parametrize("policy", POLICIES)
def test_other_seeds_epochs_and_images_draw_other_crops(shard, policy):
    drawn = [samples(shard, seed, policy=policy).draw(epoch, 0)[1] for seed in range(3) for epoch in range(1, 6)]
    assert len({label.tobytes() for label in drawn}) > 10


def test_another_process_draws_the_same(shard):
    here = samples(shard)
    there = pickle.loads(pickle.dumps(here))
    for epoch in range(1, 6):
        np.testing.assert_array_equal(here.draw(epoch, 0)[0], there.draw(epoch, 0)[0])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_window_that_fits_is_all_labelled(shard, policy):
    drawn = samples(shard, policy=policy, crop_px=(20, 30))
    assert not any((drawn.draw(epoch, 0)[1] == IGNORE_INDEX).any() for epoch in range(30))


@pytest.mark.parametrize("policy", POLICIES)
def test_whole_images_are_padded_only_where_zooming_out_lacks_some(shard, policy):
    drawn = samples(shard, policy=policy, crop_px=None)
    labelled = np.array([(drawn.draw(epoch, 0)[1] != IGNORE_INDEX).mean() for epoch in range(80)])
    assert (labelled == 1).mean() > 0.35
    assert labelled.min() >= 0.25
