import pytest
from fake_sweep import record

from segray.tuning.collapse import collapse_warning


def records(*accuracies):
    return [
        record(epoch, 0.5).model_copy(update={"train_real_accuracy": real, "train_fake_accuracy": fake})
        for epoch, (real, fake) in enumerate(accuracies, start=1)
    ]


REAL, FAKE = "on real label images in epochs 2 to 4", "on the model's in epochs 2 to 4"


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ((1.0, 1.0), f"{REAL} and {FAKE}"),
        ((0.0, 0.001), f"{REAL} and {FAKE}"),
        ((0.999, 0.4), f"stood at 0 or 1 {REAL}: one side"),
        ((0.4, 0.0), f"stood at 0 or 1 {FAKE}: one side"),
    ],
)
def test_three_epochs_at_zero_or_one_are_a_collapse(accuracies, said):
    assert said in collapse_warning(records((0.6, 0.7), *[accuracies] * 3, (0.8, 0.8)))


def test_to_and_fro_between_zero_and_one_is_one_too():
    assert f"{REAL} and {FAKE}" in collapse_warning(records((0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.5)))


@pytest.mark.parametrize(
    "accuracies",
    [
        [],
        [(0.6, 0.7)] * 5,
        [(1.0, 1.0)] * 2,
        [(1.0, 0.8), (1.0, 1.0), (0.9, 1.0), (1.0, 0.9)],
        [(None, None)] * 5,
    ],
)
def test_anything_else_is_none(accuracies):
    assert collapse_warning(records(*accuracies)) == ""


def test_the_longest_one_is_named():
    accuracies = [*[(1.0, 0.5)] * 3, (0.5, 0.5), *[(0.0, 0.5)] * 4]
    assert "in epochs 5 to 8" in collapse_warning(records(*accuracies))
