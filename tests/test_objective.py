import math

import pytest

from segray.errors import ConfigError
from segray.objective import MIOU, PROPERTIES, Objective, find_objective
from segray.records import EpochRecord

LOSS = find_objective("val_loss")


@pytest.mark.parametrize(
    ("name", "direction", "label"),
    [
        ("val_miou", "maximize", "val mIoU"),
        ("val_loss", "minimize", "val loss"),
        ("val_pixel_accuracy", "maximize", "val pixel accuracy"),
        ("val_iou/traffic light", "maximize", "val IoU of traffic light"),
    ],
)
def test_a_name_stands_for_the_usual_direction(name, direction, label):
    objective = find_objective(name)
    assert (objective.direction, objective.label) == (direction, label)


def test_an_objective_may_have_the_other_direction():
    assert find_objective(Objective("val_miou", "minimize")).rank(0.2) > Objective("val_miou", "minimize").rank(0.3)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("val_mIoU", "unknown --objective 'val_mIoU'; did you mean 'val_miou'"),
        ("train_loss", "unknown --objective 'train_loss'; did you mean 'val_loss'"),
        ("val_iou/", "--objective val_iou/ needs the name of a class, such as val_iou/road"),
        ("val_iou", "did you mean 'val_miou', 'val_iou/CLASS' or"),
        (Objective("val_loss", "min"), "direction must be maximize or minimize, but got 'min'"),
    ],
)
def test_a_score_that_no_record_has_is_refused_with_the_nearest_names(asked, said):
    with pytest.raises(ConfigError) as caught:
        find_objective(asked)
    assert said in str(caught.value)


def test_no_score_ranks_below_every_score():
    for objective in (MIOU, LOSS):
        assert objective.rank(None) == objective.rank(math.nan) == -math.inf
    assert MIOU.rank(0.4) > MIOU.rank(0.3)
    assert LOSS.rank(0.3) > LOSS.rank(0.4)


def test_scores_are_shown_in_their_unit():
    assert MIOU.shown(0.4231).replace("\u00a0", " ") == "42.3 %"
    assert MIOU.shown_difference(-0.045).replace("\u00a0", " ") == "−4.5 points"
    assert MIOU.shown_range(0.517, 0.526) == "51.7 to 52.6"
    assert LOSS.shown(0.42314) == "0.4231"
    assert LOSS.shown(None) == "–"
    assert LOSS.shown_difference(-0.0312) == "−0.0312"
    assert LOSS.shown_difference_range(-0.0312, 0.01) == "−0.0312 to +0.0100"


def test_a_record_of_an_earlier_version_holds_the_same_scores():
    record = EpochRecord.model_validate(
        {
            "epoch": 1,
            "train_loss": 1.0,
            "val_loss": 0.9,
            "val_miou": 0.4,
            "val_iou": [0.3, 0.5, None],
            "val_pixel_accuracy": 0.8,
            "val_mean_class_accuracy": 0.5,
            "val_cluster_accuracy": None,
            "learning_rate": 0.1,
            "images_per_second": 1.0,
            "epoch_seconds": 1.0,
            "peak_memory_bytes": None,
            "best_val_miou": 0.4,
            "best_epoch": 1,
        }
    )
    assert {name: record.scores[name] for name in ("val_loss", "val_miou", "val_pixel_accuracy")} == {
        "val_loss": 0.9,
        "val_miou": 0.4,
        "val_pixel_accuracy": 0.8,
    }
    assert record.class_iou(["road", "car", "train"]) == (0.3, 0.5, None)
    assert record.best_score == 0.4
    assert EpochRecord.model_validate_json(record.model_dump_json()) == record


def test_a_property_is_shown_with_its_unit():
    numbers = {"latency_ms": 12.345, "params": 11.2e6, "flops": 345.4e9, "peak_memory_mb": None}
    shown = {name: find_objective(name).shown(number) for name, number in numbers.items()}
    assert shown == {
        "latency_ms": "12.3\u00a0ms",
        "params": "11.2\u00a0M",
        "flops": "345\u00a0G",
        "peak_memory_mb": "–",
    }
    assert all(find_objective(name).direction == "minimize" for name in PROPERTIES)
