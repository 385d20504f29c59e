"""IoU and iIoU of Cityscapes equal those of the official evaluator, which scores the same predictions from files."""

import numpy as np
import pytest
import torch
from judged import judged_image
from official_scores import check_equal
from PIL import Image

from segray.data.datasets.cityscapes import LABELS, label_space
from segray.data.datasets.gta5 import label_space as gta5_space
from segray.errors import DataError
from segray.inference.prediction import label_id_table
from segray.inference.scores.cityscapes import CityscapesScores, read_instances
from segray.labels import IGNORE_INDEX

SIZE_PX = (48, 80)


def write_labels(folder, number, random):
    """Write label ids of blocks, and instance ids in which most blocks of things are instances."""
    blocks = random.integers(0, len(LABELS), (SIZE_PX[0] // 8, SIZE_PX[1] // 8))
    # Half of the blocks are things, so that instances of all their classes occur.
    is_thing = random.random(blocks.shape) < 0.5
    blocks[is_thing] = random.integers(24, 34, is_thing.sum())
    numbers = np.arange(blocks.size).reshape(blocks.shape) // 3 % 20
    is_group = random.random(blocks.shape) < 0.2  # a group of people has the id of its class alone
    instances = np.where((blocks >= 24) & ~is_group, 1000 * blocks + numbers, blocks)
    path = folder / f"city_00000{number}_000019_gtFine_labelIds.png"
    square = np.ones((8, 8), int)
    Image.fromarray(np.kron(blocks, square).astype(np.uint8)).save(path)
    Image.fromarray(np.kron(instances, square).astype(np.uint16)).save(str(path).replace("labelIds", "instanceIds"))
    return path


def score(space, folder, predict, official, *, num_images=4):
    """Return segray's scores and the official ones of predictions from `predict(true training ids)`."""
    random = np.random.default_rng(3)
    table = np.full(256, IGNORE_INDEX)
    table[list(space.raw_to_train)] = list(space.raw_to_train.values())
    found, predictions, labels = CityscapesScores.of(space), [], []
    for number in range(num_images):
        path = write_labels(folder, number, random)
        truth = table[np.asarray(Image.open(path))]
        predicted = predict(truth, random)
        logits_CHW = torch.nn.functional.one_hot(torch.as_tensor(predicted), space.num_classes).permute(2, 0, 1)
        found.add(judged_image(logits_CHW.float(), truth, label=path))
        file = folder / f"prediction{number}.png"
        Image.fromarray(label_id_table(space)[predicted]).save(file)
        predictions.append(str(file))
        labels.append(str(path))
    return found.result(), official.evaluateImgLists(predictions, labels, official.args)


def mostly_right(num_classes):
    def predict(truth, random):
        guessed = random.integers(0, num_classes, truth.shape)
        is_kept = (random.random(truth.shape) < 0.7) & (truth != IGNORE_INDEX)
        return np.where(is_kept, truth, guessed)

    return predict


@pytest.mark.parametrize("classes", ["train_ids", "label_ids"])
def test_every_score_equals_the_official_one(official, tmp_path, classes):
    space = label_space(classes)
    check_equal(*score(space, tmp_path, mostly_right(space.num_classes), official))


def test_a_class_that_is_only_predicted_counts_as_in_the_official_evaluator(official, tmp_path, monkeypatch):
    space = label_space()
    bus = space.names.index("bus")

    def without_buses(truth, random):
        truth[truth == bus] = IGNORE_INDEX
        return mostly_right(space.num_classes)(truth, random)

    def write_without_buses(folder, number, random, write=write_labels):
        path = write(folder, number, random)
        for file in (path, folder / path.name.replace("labelIds", "instanceIds")):
            ids = np.asarray(Image.open(file)).copy()
            ids[(ids == 28) | (ids.astype(int) // 1000 == 28)] = 0
            Image.fromarray(ids).save(file)
        return path

    monkeypatch.setitem(globals(), "write_labels", write_without_buses)
    found, expected = score(space, tmp_path, without_buses, official)
    check_equal(found, expected)
    assert found.table["class bus"] == {"IoU": 0.0, "iIoU": 0.0}


def test_without_instance_files_there_is_no_iiou_but_a_line_that_says_so(official, tmp_path):
    space = label_space()
    path = write_labels(tmp_path, 0, np.random.default_rng(1))
    (tmp_path / path.name.replace("labelIds", "instanceIds")).unlink()
    found = CityscapesScores.of(space)
    found.add(judged_image(torch.rand(19, *SIZE_PX), torch.zeros(SIZE_PX), label=path))
    scores = found.result()
    assert (scores.summary["class iIoU"], scores.summary["class IoU"] is None) == (None, False)
    assert "no iIoU" in scores.note


def test_damaged_instance_files_are_named(tmp_path):
    path = write_labels(tmp_path, 0, np.random.default_rng(1))
    instances = tmp_path / path.name.replace("labelIds", "instanceIds")
    with pytest.raises(DataError, match=r"must have their label's size \(3, 4\), but have \(48, 80\)"):
        read_instances(instances, (3, 4))
    instances.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"instanceIds\.png: does not decode"):
        read_instances(instances, SIZE_PX)


def test_classes_of_other_names_have_no_such_scores():
    assert CityscapesScores.of(label_space("categories")) is None
    assert CityscapesScores.of(gta5_space()) is not None
