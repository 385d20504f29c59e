import pickle

import numpy as np
import pytest

from segray.config import DataConfig
from segray.data.batches.augmentation import POLICIES
from segray.data.batches.sampling import TrainSamples, rarity
from segray.data.cache.shard_writer import ShardWriter
from segray.data.cache.shards import Shard
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


@pytest.fixture
def rare_shard(tmp_path):
    """Photos of class 0, a strip of class 1, and four pixels of class 2 in a corner; class 3 is nowhere."""
    writer = ShardWriter(tmp_path / "rare", ["a", "b"], [(64, 96)] * 2, num_classes=4)
    for index in range(2):
        label = np.zeros((64, 96), np.uint8)
        label[:, 40:56], label[:2, :2] = 1, 2
        writer.put(index, np.zeros((64, 96, 3), np.uint8), label)
    writer.finish()
    return Shard(tmp_path / "rare")


def class_shares(shard, share):
    drawn = samples(shard, policy="none", crop_px=(16, 16), rare_class_crops=share)
    labels = np.stack([drawn.draw(epoch, index)[1] for epoch in range(150) for index in range(2)])
    return np.array([(labels == class_id).mean() for class_id in range(4)]), labels


def test_rare_class_crops_show_more_of_rare_classes(rare_shard):
    often, seldom = class_shares(rare_shard, 1)[0], class_shares(rare_shard, 0)[0]
    assert often[2] > 5 * seldom[2]
    assert often[3] == 0


def test_rare_class_crops_all_contain_the_class_that_was_drawn(rare_shard, monkeypatch):
    monkeypatch.setattr("segray.data.batches.sampling.rarity", lambda pixels: np.array([0.0, 0.0, 1.0, 1.0]))
    labels = class_shares(rare_shard, 1)[1]
    assert (labels == 2).any(axis=(1, 2)).all()


def test_a_share_of_rare_class_crops_leaves_the_others_anywhere(rare_shard, monkeypatch):
    monkeypatch.setattr("segray.data.batches.sampling.rarity", lambda pixels: np.array([0.0, 0.0, 1.0, 0.0]))
    labels = class_shares(rare_shard, 0.5)[1]
    assert 0.4 < (labels == 2).any(axis=(1, 2)).mean() < 0.6


def test_rarer_classes_weigh_more():
    weights = rarity(np.array([900, 90, 10, 0]))
    assert (np.diff(weights) > 0).all()
    assert weights.max() < 51


def test_images_without_labels_have_crops_anywhere(tmp_path):
    writer = ShardWriter(tmp_path / "void", ["a"], [(8, 8)], num_classes=2)
    writer.put(0, np.zeros((8, 8, 3), np.uint8), np.full((8, 8), IGNORE_INDEX, np.uint8))
    writer.finish()
    label = samples(Shard(tmp_path / "void"), crop_px=(4, 4), policy="none", rare_class_crops=1).draw(1, 0)[1]
    assert label.shape == (4, 4)
