import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassJaccardIndex

from segray.errors import DataError
from segray.labels import IGNORE_INDEX
from segray.metrics import confusion_matrix, majority_class_scores, scores, scores_by_name

NUM_CLASSES = 6


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions, and labels with void pixels; neither has pixels of classes 4 and 5."""
    generator = torch.Generator().manual_seed(7)
    labels_BHW = torch.randint(0, 4, (3, 20, 30), generator=generator)
    right_BHW = torch.rand(3, 20, 30, generator=generator) < 0.6
    predictions_BHW = labels_BHW.where(right_BHW, torch.randint(0, 4, (3, 20, 30), generator=generator))
    labels_BHW[:, 4:7] = IGNORE_INDEX
    return predictions_BHW, labels_BHW


def counted_by_hand(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
    for prediction, label in zip(predictions.ravel(), labels.ravel(), strict=True):
        if label != IGNORE_INDEX:
            confusion[label, prediction] += 1
    return confusion


@pytest.mark.parametrize("prediction_dtype", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("label_dtype", [torch.uint8, torch.int16, torch.int64])
def test_confusion_equals_a_loop_over_pixels_in_every_dtype(maps, prediction_dtype, label_dtype):
    predictions_BHW, labels_BHW = maps
    confusion = confusion_matrix(predictions_BHW.to(prediction_dtype), labels_BHW.to(label_dtype), NUM_CLASSES)
    assert confusion.dtype == torch.int64
    assert np.array_equal(confusion.numpy(), counted_by_hand(predictions_BHW.numpy(), labels_BHW.numpy()))


def test_confusion_equals_torchmetrics(maps):
    expected = MulticlassConfusionMatrix(NUM_CLASSES, ignore_index=IGNORE_INDEX)(*maps)
    assert torch.equal(confusion_matrix(*maps, NUM_CLASSES), expected)


def test_confusion_of_parts_adds_up(maps):
    parts = [confusion_matrix(p, labels, NUM_CLASSES) for p, labels in zip(*maps, strict=True)]
    assert torch.equal(sum(parts), confusion_matrix(*maps, NUM_CLASSES))


def test_confusion_counts_a_class_with_the_number_of_the_most_classes():
    labels_BHW = torch.tensor([[[253, 255]]], dtype=torch.uint8)
    confusion = confusion_matrix(torch.tensor([[[253, 1]]], dtype=torch.uint8), labels_BHW, 254)
    assert confusion.shape == (254, 254)
    assert confusion.nonzero().tolist() == [[253, 253]]


def test_confusion_of_nothing_is_zero():
    empty_BHW = torch.zeros(0, 4, 4, dtype=torch.uint8)
    assert torch.equal(confusion_matrix(empty_BHW, empty_BHW, 2), torch.zeros(2, 2, dtype=torch.int64))


@pytest.mark.parametrize(("prediction", "label"), [(6, 0), (-1, 3), (0, 6), (0, 254), (0, 300), (0, -1)])
def test_confusion_refuses_what_is_no_class(prediction, label):
    wrong = label if prediction in range(NUM_CLASSES) else prediction
    with pytest.raises(ValueError, match=f"must be .*, but got .*{wrong}"):
        confusion_matrix(torch.tensor([[[prediction]]]), torch.tensor([[[label]]]), NUM_CLASSES)


def test_scores_equal_a_loop_over_classes(maps):
    predictions, labels = maps[0].numpy(), maps[1].numpy()
    kept = labels != IGNORE_INDEX
    predictions, labels = predictions[kept], labels[kept]
    ious, recalls = [], []
    for index in range(4):
        hit = ((labels == index) & (predictions == index)).sum()
        ious.append(hit / ((labels == index) | (predictions == index)).sum())
        recalls.append(hit / (labels == index).sum())
    result = scores(confusion_matrix(*maps, NUM_CLASSES))
    assert result.miou == pytest.approx(np.mean(ious))
    assert result.iou == (*map(pytest.approx, ious), None, None)
    assert result.pixel_accuracy == pytest.approx((labels == predictions).mean())
    assert result.mean_class_accuracy == pytest.approx(np.mean(recalls))


def test_scores_equal_torchmetrics_where_every_class_occurs(maps):
    predictions_BHW, labels_BHW = maps
    labels_BHW[0, 0, :2] = torch.tensor([4, 5])
    result = scores(confusion_matrix(predictions_BHW, labels_BHW, NUM_CLASSES))
    jaccard = MulticlassJaccardIndex(NUM_CLASSES, ignore_index=IGNORE_INDEX)
    accuracy = MulticlassAccuracy(NUM_CLASSES, average="micro", ignore_index=IGNORE_INDEX)
    assert result.miou == pytest.approx(jaccard(predictions_BHW, labels_BHW).item())
    assert result.pixel_accuracy == pytest.approx(accuracy(predictions_BHW, labels_BHW).item())


def test_frequency_weighted_iou_equals_the_weighted_mean_of_torchmetrics(maps):
    weighted = MulticlassJaccardIndex(NUM_CLASSES, average="weighted", ignore_index=IGNORE_INDEX)
    found = scores_by_name(scores(confusion_matrix(*maps, NUM_CLASSES)), ["a", "b", "c", "d", "e", "f"])
    assert found["val_frequency_weighted_iou"] == pytest.approx(weighted(*maps).item())


@pytest.mark.parametrize("num_false", [0, 1, 40])
def test_miou_is_the_mean_over_the_classes_of_the_labels_whatever_is_predicted(maps, num_false):
    predictions_BHW, labels_BHW = maps
    predictions_BHW.flatten()[200 : 200 + num_false] = 5
    labelled = labels_BHW != IGNORE_INDEX
    expected = jaccard_score(
        labels_BHW[labelled].numpy(), predictions_BHW[labelled].numpy(), labels=range(4), average=None
    )
    each = MulticlassJaccardIndex(NUM_CLASSES, average=None, ignore_index=IGNORE_INDEX)(predictions_BHW, labels_BHW)
    assert expected == pytest.approx(each[:4].numpy())
    result = scores(confusion_matrix(predictions_BHW, labels_BHW, NUM_CLASSES))
    assert result.iou == (*map(pytest.approx, expected), None, None)
    assert result.miou == pytest.approx(expected.mean())


def test_a_pixel_that_is_taken_for_a_class_without_labels_costs_its_true_class_a_pixel():
    perfect, one = torch.diag(torch.tensor([100_000, 100_000, 0])), torch.diag(torch.tensor([99_999, 100_000, 0]))
    one[0, 2] = 1
    worse = torch.tensor([[90_000, 10_000, 0], [10_000, 90_000, 0], [0, 0, 0]])
    assert scores(perfect).miou == 1.0
    assert scores(one).miou == pytest.approx(0.999995)
    assert scores(worse).miou == pytest.approx(90 / 110)
    assert scores(one).mean_class_accuracy == scores(one).pixel_accuracy == scores(one).miou
    assert scores(one).frequency_weighted_iou == scores(one).miou


def test_scores_of_nothing_are_none():
    assert scores(torch.zeros(2, 2, dtype=torch.int64)) == (None, (None, None), None, None, None)


def test_majority_class_of_training_is_scored_on_validation():
    majority, found = majority_class_scores([10, 70, 20, 0], np.array([30, 60, 10, 0]))
    assert majority == 1
    assert scores_by_name(found, ["sky", "road", "car", "train"]) == pytest.approx(
        {
            "val_miou": 0.6 / 3,
            "val_pixel_accuracy": 0.6,
            "val_mean_class_accuracy": 1 / 3,
            "val_frequency_weighted_iou": 0.6 * 0.6,
            "val_iou/sky": 0.0,
            "val_iou/road": 0.6,
            "val_iou/car": 0.0,
            "val_iou/train": None,
        }
    )


def test_majority_class_that_validation_lacks_has_an_miou_of_zero():
    assert majority_class_scores([1, 9], [5, 0])[1].miou == 0.0
    # Both labelled classes are missed. The third has no labelled pixel, so it is not in the mean.
    assert majority_class_scores([1, 2, 9], [5, 5, 0])[1].miou == 0.0


def test_majority_class_is_judged_by_the_mean_over_the_classes_that_validation_holds():
    assert majority_class_scores([9, 1, 5], [30, 10, 0])[1].miou == pytest.approx(0.75 / 2)


def test_majority_class_needs_labelled_pixels():
    with pytest.raises(DataError, match="must have labelled pixels"):
        majority_class_scores([1, 2], [0, 0])
