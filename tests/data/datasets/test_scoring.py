"""Judging by the classes of training, and by other classes than those."""

import pickle

import numpy as np
import pytest
import torch

from segray.data.datasets.scoring import Scoring, by_classes_of_training
from segray.labels import LabelSpace

SPACE = LabelSpace(names=("road", "car", "sky"), colors=((1, 0, 0), (2, 0, 0), (3, 0, 0)))
LABEL = np.array([[0, 255]], np.uint8)


def read_label(pair):
    return np.array([[2, 1]], np.uint8)


CLUSTERS = Scoring(label_space=SPACE, class_of=(2, None, 0, 2), read_label=read_label)


@pytest.fixture
def logits():
    return torch.randn((2, 4, 3, 5), generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=torch.channels_last
    )


def test_classes_of_training_are_judged_by_their_labels(logits):
    scoring = by_classes_of_training(SPACE)
    assert not scoring.differs
    assert scoring.label_space == SPACE
    assert scoring.judged_label(None, LABEL) is LABEL
    torch.testing.assert_close(scoring.predict(logits[:, :3]), logits[:, :3].argmax(dim=1))


def test_other_classes_are_judged_by_labels_of_their_own(logits):
    assert CLUSTERS.differs
    np.testing.assert_array_equal(CLUSTERS.judged_label(None, LABEL), [[2, 1]])
    best = logits[:, [0, 2, 3]].argmax(dim=1)
    torch.testing.assert_close(CLUSTERS.predict(logits), torch.tensor([2, 0, 2])[best])


def test_a_pickled_scoring_still_differs_or_not():
    assert pickle.loads(pickle.dumps(CLUSTERS)).differs
    assert not pickle.loads(pickle.dumps(by_classes_of_training(SPACE))).differs
