import numpy as np
import pytest
import torch
from tiny_run import (
    NUM_VAL,
    SCORING,
    LoaderWithJudged,
    TinyLoader,
    cross_entropy,
    scenes,
    tiny_config,
    tiny_state,
    validation,
)

from segray.engine.endings import Interrupted


def reference_confusion(model):
    """Count a confusion matrix pixel by pixel, in NumPy."""
    photos, labels = scenes(NUM_VAL, seed=1)
    with torch.no_grad():
        predictions = model.eval()(photos).argmax(1).numpy()
    confusion = np.zeros((3, 3), dtype=np.int64)
    for truth, predicted in zip(labels.numpy().ravel(), predictions.ravel(), strict=True):
        if truth != 255:
            confusion[truth, predicted] += 1
    return confusion


def test_confusion_counts_every_pixel_of_every_image_once():
    model = tiny_state(tiny_config()).network
    evaluation = validation()(model)
    assert evaluation.confusion.dtype == torch.int64
    np.testing.assert_array_equal(evaluation.confusion.numpy(), reference_confusion(model))


@pytest.mark.parametrize("batch_size", [1, 2, NUM_VAL])
def test_loss_and_confusion_are_those_of_all_labelled_pixels_whatever_the_batches(batch_size):
    model = tiny_state(tiny_config()).network
    loader = TinyLoader(NUM_VAL, 1, batch_size=batch_size, shuffle=False)
    evaluation = validation(loader)(model)
    np.testing.assert_array_equal(evaluation.confusion.numpy(), reference_confusion(model))
    photos, labels = scenes(NUM_VAL, seed=1)
    with torch.no_grad():
        expected = cross_entropy()(model(photos), labels.long())
    assert evaluation.loss == pytest.approx(expected.item(), rel=1e-5)


def test_samples_are_the_predictions_asked_for():
    model = tiny_state(tiny_config()).network
    evaluation = validation(sample_indices=(5, 0))(model)
    photos, _ = scenes(NUM_VAL, seed=1)
    expected = model(photos).argmax(1).numpy()
    assert sorted(evaluation.samples) == [0, 5]
    assert evaluation.samples[5].dtype == np.uint8
    np.testing.assert_array_equal(evaluation.samples[5], expected[5])


def test_dropout_is_off_and_weights_stay():
    model = tiny_state(tiny_config()).network.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = validation()(model), validation()(model)
    assert torch.equal(first.confusion, second.confusion)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_model_can_be_trained_on_afterwards():
    model = tiny_state(tiny_config()).network
    validation()(model)
    photos, labels = scenes(2, seed=1)
    cross_entropy()(model.train()(photos), labels.long()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_it_can_be_interrupted_between_batches():
    answers = iter([False, False, True])
    with pytest.raises(Interrupted):
        validation(interrupted=lambda: next(answers))(tiny_state(tiny_config()).network)


@pytest.fixture
def scored():
    """Return a model, its evaluation by other classes than its own, and the predictions expected of it."""
    model = tiny_state(tiny_config()).network
    loader = LoaderWithJudged(NUM_VAL, 1, batch_size=2, shuffle=False)
    evaluation = validation(loader, scoring=SCORING, sample_indices=(3,))(model)
    photos, _ = scenes(NUM_VAL, seed=1)
    with torch.no_grad():
        logits = model.eval()(photos).numpy()
    return evaluation, np.where(logits[:, 0] > logits[:, 2], 1, 0), logits.argmax(1)


def test_predictions_are_mapped_to_the_classes_that_are_judged_by(scored):
    evaluation, predicted, _ = scored
    loader = LoaderWithJudged(NUM_VAL, 1, batch_size=NUM_VAL, shuffle=False)
    truth = next(iter(loader)).judged_BHW.numpy()
    expected = np.zeros((2, 2), dtype=np.int64)
    np.add.at(expected, (truth[truth != 255], predicted[truth != 255]), 1)
    np.testing.assert_array_equal(evaluation.confusion.numpy(), expected)
    np.testing.assert_array_equal(evaluation.samples[3], predicted[3])


def test_the_loss_and_scores_beside_it_are_of_the_classes_of_training(scored):
    evaluation, _, clusters = scored
    labels = scenes(NUM_VAL, seed=1)[1].numpy()
    assert evaluation.training_scores.pixel_accuracy == pytest.approx((clusters == labels)[labels != 255].mean())
    plain = validation()(tiny_state(tiny_config()).network)
    assert evaluation.loss == pytest.approx(plain.loss)
    labelled = labels != 255
    pairs = [((clusters == k) & labelled, (labels == k) & labelled) for k in range(3)]
    ious = [(found & true).sum() / (found | true).sum() for found, true in pairs]
    assert evaluation.training_scores.miou == pytest.approx(np.mean(ious))
    assert plain.training_scores is None
