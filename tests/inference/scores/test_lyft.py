import pytest
import torch
from judged import judged_image, random_image
from torchmetrics.functional.classification import binary_fbeta_score

from segray.data.datasets.carla import label_space
from segray.data.datasets.kitti_road import CLASSES
from segray.inference.scores.lyft import LyftScores
from segray.labels import LabelSpace


@pytest.mark.parametrize(("classes", "road"), [("raw", ("Roads", "RoadLines")), ("challenge", ("Roads",))])
def test_the_scores_equal_torchmetrics_over_all_images_together(classes, road):
    space = label_space(classes)
    images = [random_image(seed, space.num_classes, void=0) for seed in range(3)]
    found = LyftScores.of(space)
    for image in images:
        found.add(image)
    scores = found.result()

    def expected(names, beta):
        ids = torch.tensor([space.names.index(name) for name in names])
        masks = [
            torch.cat([torch.isin(ids_HW, ids).flatten() for ids_HW in pictures])
            for pictures in ([image.predicted_HW for image in images], [image.judged_HW for image in images])
        ]
        return binary_fbeta_score(masks[0].int(), masks[1].int(), beta).item()

    wanted = {"vehicle": expected(("Vehicles",), 2.0), "road": expected(road, 0.5)}
    assert {name: row["F"] for name, row in scores.table.items()} == pytest.approx(wanted)
    assert scores.summary == {"mean F": pytest.approx(sum(wanted.values()) / 2)}


def test_a_split_without_vehicles_that_predicts_none_has_no_mean():
    space = label_space("raw")
    logits_CHW = torch.zeros(space.num_classes, 2, 2)
    logits_CHW[space.names.index("Roads")] = 9
    found = LyftScores.of(space)
    found.add(judged_image(logits_CHW, logits_CHW.argmax(0)))
    scores = found.result()
    assert (scores.table["vehicle"]["F"], scores.table["road"]["F"], scores.summary["mean F"]) == (None, 1.0, None)


def test_other_classes_have_no_such_scores():
    assert LyftScores.of(LabelSpace(names=tuple(CLASSES), colors=tuple(CLASSES.values()))) is None
