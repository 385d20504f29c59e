import pytest

from segray.results.searched import searched_keys, short_labels


def kind(values):
    return searched_keys({"key": values})[0].kind


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b", "a"], "choice"),
        ([True, False, True], "choice"),
        ([4, 8, 16, 8], "linear"),
        ([4, 8, 16, 8, 4, 8], "choice"),
        ([0.0, 0.1, 0.0, 0.1], "choice"),
        ([None, 3, 5, 7], "choice"),
        ([[160, 224], [320, 448]], "choice"),
        (list(range(4, 12)), "linear"),
        ([0.0, 0.5, 0.9], "linear"),
        ([0.9, 0.95, 0.99], "linear"),
        ([1e-4, 1e-3, 3e-3], "log"),
    ],
)
def test_kind_follows_from_the_values(values, expected):
    assert kind(values) == expected


def test_labels_are_short_where_they_are_clear():
    labels = short_labels(["model.encoder", "loss.name", "optim.weight_decay", "seed", "a.x", "b.x"])
    assert labels == {
        "model.encoder": "encoder",
        "loss.name": "loss",
        "optim.weight_decay": "weight decay",
        "seed": "seed",
        "a.x": "a.x",
        "b.x": "b.x",
    }


def test_searched_keys_follow_the_order_of_the_space(full):
    assert [searched.label for searched in full.searched] == [
        "encoder",
        "arch",
        "loss",
        "focal gamma",
        "policy",
        "batch size",
        "epochs",
        "lr",
        "weight decay",
    ]
    assert [searched.kind for searched in full.searched][-2:] == ["log", "log"]
