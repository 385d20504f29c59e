import pytest
import torch
from judged import judged_image, random_image
from torchmetrics.functional.classification import multiclass_calibration_error

from segray.inference.scores.calibration import NUM_BINS, Calibration


def flat(images):
    """Return probabilities (N, C) and labels (N,) of the labelled pixels of all images."""
    kept = [image.judged_HW != 255 for image in images]
    logits = [image.logits_CHW[:, labelled].T for image, labelled in zip(images, kept, strict=True)]
    labels = [image.judged_HW[labelled] for image, labelled in zip(images, kept, strict=True)]
    return torch.cat(logits).softmax(1), torch.cat(labels)


def test_the_errors_equal_those_of_torchmetrics_over_all_images_together():
    images = [random_image(seed) for seed in range(3)]
    found = Calibration(3)
    for image in images:
        found.add(image)
    probabilities, labels = flat(images)

    def expected(chosen):
        return multiclass_calibration_error(probabilities[chosen], labels[chosen], 3, n_bins=NUM_BINS, norm="l1")

    scores = found.result()
    predicted = probabilities.argmax(1)
    assert scores.ece == pytest.approx(expected(predicted >= 0).item(), abs=1e-6)
    assert scores.class_ece == pytest.approx([expected(predicted == index).item() for index in range(3)], abs=1e-6)
    assert scores.ece > 0.01


def test_the_bins_hold_every_labelled_pixel_and_tell_confidence_and_accuracy():
    image = random_image(1)
    found = Calibration(3)
    found.add(image)
    bins = found.result().bins
    assert sum(part.share for part in bins) == pytest.approx(1)
    for number, part in enumerate(bins):
        if part.confidence is None:
            assert (part.share, part.accuracy) == (0, None)
        else:
            assert number / NUM_BINS <= part.confidence <= (number + 1) / NUM_BINS + 1e-6
    accuracy = (image.predicted_HW == image.judged_HW)[image.is_labelled].float().mean().item()
    assert sum(part.share * (part.accuracy or 0) for part in bins) == pytest.approx(accuracy)


def test_a_sure_and_right_model_has_no_error_and_a_class_that_is_never_predicted_none():
    logits_CHW = torch.zeros(3, 4, 4)
    logits_CHW[1] = 100
    found = Calibration(3)
    found.add(judged_image(logits_CHW, torch.ones(4, 4)))
    assert found.result().class_ece == (None, 0.0, None)


def test_nothing_but_void_has_no_error():
    found = Calibration(3)
    found.add(judged_image(torch.zeros(3, 2, 2), torch.full((2, 2), 255)))
    assert found.result().ece is None
