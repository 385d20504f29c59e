import pytest
import torch
from judged import judged_image, random_image

from segray.data.datasets.carla import label_space as carla_space
from segray.data.datasets.kitti_road import CLASSES
from segray.inference.scores.kitti_road import KittiRoadScores
from segray.labels import LabelSpace

SPACE = LabelSpace(names=tuple(CLASSES), colors=tuple(CLASSES.values()))


def reference(images):
    """Score threshold after threshold, with precision and recall counted from masks, as the development kit does."""
    curve = []
    for level in range(256):
        hits = misses = alarms = rejections = 0
        for image in images:
            road = (image.logits_CHW.softmax(0)[1] * 255).round() >= level
            truth, valid = image.judged_HW == 1, image.judged_HW != 255
            hits += int((road & truth & valid).sum())
            misses += int((~road & truth & valid).sum())
            alarms += int((road & ~truth & valid).sum())
            rejections += int((~road & ~truth & valid).sum())
        if hits:
            curve.append((hits / (hits + alarms), hits / (hits + misses), alarms / (alarms + rejections), level / 255))
    best = max(curve, key=lambda point: 2 * point[0] * point[1] / (point[0] + point[1]))
    steps = [max(precision for precision, recall, *_ in curve if recall >= step / 10 - 1e-9) for step in range(11)]
    return {
        "MaxF": 2 * best[0] * best[1] / (best[0] + best[1]),
        "AP": sum(steps) / 11,
        "PRE": best[0],
        "REC": best[1],
        "FPR": best[2],
        "FNR": 1 - best[1],
        "threshold": best[3],
    }


def test_the_scores_equal_a_loop_over_thresholds_for_each_category_and_all_together():
    images = [random_image(seed, 2, name=f"{name}_00000{seed}") for seed, name in enumerate(["um", "umm", "um", "uu"])]
    found = KittiRoadScores.of(SPACE)
    for image in images:
        found.add(image)
    scores = found.result()
    expected = {"UM": [images[0], images[2]], "UMM": [images[1]], "UU": [images[3]], "URBAN": images}
    assert list(scores.table) == list(expected)
    for name, chosen in expected.items():
        assert scores.table[name] == pytest.approx(reference(chosen), abs=1e-9)
    assert scores.summary == {name: scores.table["URBAN"][name] for name in ("MaxF", "AP")}
    assert 0.5 < scores.summary["MaxF"] < 1
    assert "bird's eye view" in scores.note


def test_images_without_road_have_no_scores():
    found = KittiRoadScores.of(SPACE)
    found.add(judged_image(torch.zeros(2, 3, 3), torch.zeros(3, 3)))
    assert set(found.result().table["URBAN"].values()) == {None}


def test_classes_without_a_road_have_no_such_scores():
    assert KittiRoadScores.of(carla_space("raw")) is None
