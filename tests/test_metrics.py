import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassJaccardIndex

from segray.errors import DataError
from segray.labels import IGNORE_INDEX
from segray.metrics import confusion_matrix, majority_class_miou, scores

NUM_CLASSES = 6


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and labels with void pixels; classes 4 and 5 are in neither."""
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


def test_scores_equal_torchmetrics(maps):
    predictions_BHW, labels_BHW = maps
    labels_BHW[0, 0, 0], predictions_BHW[0, 0, 1] = 4, 5
    result = scores(confusion_matrix(predictions_BHW, labels_BHW, NUM_CLASSES))
    jaccard = MulticlassJaccardIndex(NUM_CLASSES, ignore_index=IGNORE_INDEX)
    accuracy = MulticlassAccuracy(NUM_CLASSES, average="micro", ignore_index=IGNORE_INDEX)
    assert result.miou == pytest.approx(jaccard(predictions_BHW, labels_BHW).item())
    assert result.pixel_accuracy == pytest.approx(accuracy(predictions_BHW, labels_BHW).item())


def test_class_that_is_only_predicted_counts_with_zero():
    result = scores(torch.tensor([[3, 1], [0, 0]]))
    assert result.iou == (0.75, 0.0)
    assert result.miou == 0.375
    assert result.mean_class_accuracy == 0.75


def test_scores_of_nothing_are_none():
    assert scores(torch.zeros(2, 2, dtype=torch.int64)) == (None, (None, None), None, None, None)


def test_majority_class_of_training_is_scored_on_validation():
    majority, miou = majority_class_miou([10, 70, 20, 0], np.array([30, 60, 10, 0]))
    assert majority == 1
    assert miou == pytest.approx(0.6 / 3)


def test_majority_class_that_validation_lacks_counts_as_a_class_with_iou_zero():
    assert majority_class_miou([1, 9], [5, 0]) == (1, 0.0)


def test_majority_class_needs_labelled_pixels():
    with pytest.raises(DataError, match="must have labelled pixels"):
        majority_class_miou([1, 2], [0, 0])
