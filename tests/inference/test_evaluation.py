"""The evaluation of a model at the labels' own size, on its own data set and on others."""

import math

import numpy as np
import pytest
import torch
from official_scores import check_equal
from PIL import Image
from scipy import ndimage
from torch import nn
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

from segray.config import RunConfig
from segray.data.batches.loaders import val_loader
from segray.data.datasets import open_dataset
from segray.data.datasets.cityscapes import label_space
from segray.data.preparation import prepare
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.engine.run_parts import Validation
from segray.errors import ConfigError, DataError
from segray.inference.predictor import Predictor
from segray.inference.sweep_scores import Evaluation, evaluate_model
from segray.labels import LabelSpace

RESIZE_PX = (40, 56)


class Painter(nn.Module):
    """A model that tells classes by colour and place, the same on every machine."""

    def __init__(self, num_classes):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.weights = nn.Parameter(torch.randn(num_classes, 5, 1, 1, generator=generator))

    def forward(self, photos_BCHW):
        size = photos_BCHW.shape[-2:]
        rows = torch.linspace(-1, 1, size[0])[:, None].expand(size)
        columns = torch.linspace(-1, 1, size[1])[None].expand(size)
        places_BCHW = torch.stack([rows, columns]).expand(len(photos_BCHW), -1, -1, -1)
        features_BCHW = torch.cat([photos_BCHW.float() / 64 - 2, 3 * places_BCHW], dim=1)
        return nn.functional.conv2d(features_BCHW, self.weights)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_scenes("cityscapes", folder / "cityscapes", train=3, val=5, size_px=(64, 96), seed=0)
    write_scenes("gta5", folder / "gta5", train=6, val=2, size_px=(48, 64), seed=1)
    write_scenes("kitti_road", folder / "kitti_road", train=6, val=2, size_px=(64, 96), seed=1)
    write_scenes("carla", folder / "carla", train=4, val=1, test=1, size_px=(48, 64), seed=1)
    return folder


def predictor(root, dataset="cityscapes", space=None, *, values=None, **given):
    asked = {"data.dataset": dataset, "data.root": str(root / dataset), "data.cache_dir": str(root / "cache")}
    config = RunConfig().with_values(
        {**asked, "data.policy": "none", "train.precision": "float32", "train.batch_size": 2, **(values or {})}
    )
    space = space or open_dataset(config.data).label_space
    return Predictor([Painter(space.num_classes)], config, space, device="cpu", **given)


def evaluate(model, **asked):
    found, is_kept = evaluate_model(model, Evaluation(**{"split": "val", **asked}))
    assert not is_kept
    return found


def pixels(model):
    """Return (predicted, truth) over all validation pixels, by Predictor and the label files alone."""
    dataset = open_dataset(model.config.data)
    pairs = dataset.official["val"]
    truth = [dataset.reader.read(pair)[1] for pair in pairs]
    predicted = [model.predict(pair.photo).labels for pair in pairs]
    return [torch.from_numpy(np.concatenate([ids.ravel() for ids in part])).long() for part in (predicted, truth)]


def test_scores_are_those_of_predictions_at_the_size_of_the_labels(root):
    model = predictor(root, values={"data.resize_px": RESIZE_PX})
    found = evaluate(model)
    predicted, truth = pixels(model)
    assert len(truth) == 5 * 64 * 96
    labelled = truth != 255
    in_labels = truth[labelled].unique()
    iou = multiclass_jaccard_index(predicted, truth, 19, average="none", ignore_index=255)
    assert found.iou == pytest.approx([iou[i].item() if i in in_labels else None for i in range(19)])
    assert found.miou == pytest.approx(iou[in_labels].mean().item())
    assert found.pixel_accuracy == pytest.approx((predicted == truth)[labelled].float().mean().item())
    recall = multiclass_accuracy(predicted, truth, 19, average="none", ignore_index=255)
    assert found.mean_class_accuracy == pytest.approx(recall[in_labels].mean().item())
    assert np.sum(found.confusion) == labelled.sum()
    assert (found.label_size, found.training_px, found.num_images) == ("own", RESIZE_PX, 5)


@pytest.mark.parametrize("resize_px", [None, RESIZE_PX])
def test_the_figure_of_the_training_size_is_that_of_the_validation(root, resize_px):
    model = predictor(root, values={"data.resize_px": resize_px})
    config = model.config
    data = prepare(config.data, lambda line: None)
    scores = Validation(config, data, val_loader(data.val, batch_size=2), model.device)(model.models[0])
    found = evaluate(model)
    if resize_px is None:
        assert (found.miou, found.miou_at_training_size) == (scores["val_miou"], None)
        assert found.loss == pytest.approx(scores["val_loss"])
    else:
        assert found.miou_at_training_size == scores["val_miou"]
        assert found.miou != found.miou_at_training_size


def test_every_image_has_its_scores_and_the_worst_come_first(root):
    model = predictor(root)
    found = evaluate(model)
    dataset = open_dataset(model.config.data)
    assert [image.name for image in found.images] == sorted(pair.name for pair in dataset.official["val"])
    for image, pair in zip(found.images, sorted(dataset.official["val"]), strict=True):
        truth, predicted = dataset.reader.read(pair)[1], model.predict(pair.photo).labels
        assert image.pixel_accuracy == pytest.approx((truth == predicted)[truth != 255].mean())
    worst = found.worst_images(2)
    assert worst == sorted(found.images, key=lambda image: image.miou)[:2]


def test_balanced_class_weights_are_those_of_the_training_images(root):
    plain, weighted = (
        evaluate(predictor(root, values={"loss.class_weights": how})).loss for how in ("none", "balanced")
    )
    model = predictor(root, values={"loss.class_weights": "balanced"})
    data = prepare(model.config.data, lambda line: None)
    scores = Validation(model.config, data, val_loader(data.val, batch_size=1), model.device)(model.models[0])
    assert weighted == pytest.approx(scores["val_loss"])
    assert weighted != pytest.approx(plain)


def test_windows_and_augmentation_are_told_and_change_the_scores(root):
    plain = evaluate(predictor(root))
    found = evaluate(predictor(root, window_px=(32, 32), tta="flip"))
    assert (plain.predicted_by, found.predicted_by) == ("", "windows of 32x32, flip")
    assert found.miou != plain.miou


@pytest.mark.parametrize(
    ("dataset", "title"),
    [
        ("cityscapes", "Cityscapes"),
        ("gta5", "Cityscapes"),
        ("kitti_road", "KITTI Road"),
        ("carla", "Lyft Perception Challenge"),
    ],
)
def test_a_data_set_adds_the_scores_of_its_benchmark(root, dataset, title):
    found = evaluate(predictor(root, dataset)).benchmark
    assert found.title == title
    assert all(0 <= score <= 1 for score in found.summary.values() if score is not None)
    assert any(score is not None for score in found.summary.values())


def test_real_predictions_have_the_scores_of_the_official_evaluator(tmp_path, official):
    write_scenes("cityscapes", tmp_path / "cityscapes", train=1, val=4, size_px=(96, 160), seed=2)
    labels = sorted(tmp_path.glob("cityscapes/gtFine/val/*/*_labelIds.png"))
    for path in labels:
        ids = np.asarray(Image.open(path))
        numbers, _ = ndimage.label(ids >= 24)
        instances = np.where(ids >= 24, 1000 * ids.astype(int) + numbers, ids)
        Image.fromarray(instances.astype(np.uint16)).save(str(path).replace("labelIds", "instanceIds"))
    model = predictor(tmp_path, values={"data.resize_px": RESIZE_PX})
    predictions = [tmp_path / f"{path.stem}.png" for path in labels]
    for path, photo in zip(predictions, sorted(tmp_path.glob("cityscapes/leftImg8bit/val/*/*.png")), strict=True):
        Image.fromarray(model.predict(photo).label_ids()).save(path)
    found = evaluate(model)
    assert found.benchmark.summary["class iIoU"] is not None
    check_equal(
        found.benchmark,
        official.evaluateImgLists([str(path) for path in predictions], [str(path) for path in labels], official.args),
    )


def test_another_data_set_with_the_same_classes_is_matched_by_name(root, tmp_path):
    model = predictor(root)
    write_scenes("folder", tmp_path / "own", train=4, val=2, size_px=(64, 96), seed=4)
    # The same classes in another order: a model of the data set's own classes is the reference.
    names = label_space().names
    order = [names[index] for index in np.random.default_rng(0).permutation(19)]
    ids = {f"data.folder.{key}": value for key, value in {"classes": order, "class_ids": list(range(19))}.items()}
    given = {**NEEDED_VALUES["folder"], **ids}
    shuffled = LabelSpace(names=tuple(order), colors=label_space().colors)
    other = {"split": "all", "dataset": "folder", "root": str(tmp_path / "own"), "values": given}
    found = evaluate(model, **other)
    own = predictor(root, space=shuffled)
    own.models[0].weights.data = model.models[0].weights.data[[names.index(name) for name in order]]
    expected = evaluate(own, **other)
    assert found.dataset == "folder"
    assert found.miou == pytest.approx(expected.miou)
    assert dict(zip(found.classes, found.iou, strict=True)) == dict(zip(expected.classes, expected.iou, strict=True))
    assert found.num_images == 6


def test_a_data_set_with_the_same_class_list_needs_only_its_name_and_folder(root):
    found = evaluate(predictor(root), dataset="gta5", root=str(root / "gta5"), split="all")
    assert (found.dataset, found.num_images, found.classes) == ("gta5", 8, label_space().names)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        (
            {"dataset": "kitti_road", "root": "kitti_road", "split": "all"},
            ConfigError,
            r"kitti_road lacks sidewalk, building, .*, bicycle and the model lacks not road$",
        ),
        ({"dataset": "gta5"}, ConfigError, "--dataset gta5 needs --data"),
        ({"values": {"data.classes": "label_ids"}}, ConfigError, "--set describes another data set"),
        ({"dataset": "gta", "root": "gta5"}, ConfigError, "unknown data set 'gta'; did you mean"),
        ({"root": "nowhere"}, DataError, "nowhere"),
        ({"split": "test"}, DataError, "no test images"),
        ({"root": "gta5"}, DataError, "leftImg8bit"),
    ],
)
def test_what_cannot_be_evaluated_says_why(root, asked, error, message):
    asked = {**asked, **({"root": str(root / asked["root"])} if "root" in asked else {})}
    with pytest.raises(error, match=message):
        evaluate(predictor(root), **asked)


def test_a_photo_that_does_not_decode_is_named(root, tmp_path):
    write_scenes("cityscapes", tmp_path / "cityscapes", train=1, val=2, size_px=(32, 48), seed=0)
    photo = sorted(tmp_path.glob("cityscapes/leftImg8bit/val/*/*.png"))[1]
    photo.write_bytes(photo.read_bytes()[:-200])
    with pytest.raises(DataError, match=photo.name):
        evaluate(predictor(tmp_path))


def test_images_of_several_sizes_and_void_ones_are_scored(tmp_path):
    write_scenes("cityscapes", tmp_path / "cityscapes", train=1, val=3, size_px=(32, 48), seed=0)
    photos = sorted(tmp_path.glob("cityscapes/leftImg8bit/val/*/*.png"))
    labels = sorted(tmp_path.glob("cityscapes/gtFine/val/*/*_labelIds.png"))
    for path in (photos[0], labels[0]):
        Image.open(path).resize((31, 17), Image.Resampling.NEAREST).save(path)
    Image.open(labels[1]).point(lambda _: 0).save(labels[1])
    found = evaluate(predictor(tmp_path))
    assert [image.miou is None for image in found.images] == [False, True, False]
    assert len(found.worst_images(9)) == 2
    assert math.isfinite(found.loss)


def test_corruptions_are_judged_relative_to_the_clean_photos(root):
    model = predictor(root, "gta5", values={"data.resize_px": RESIZE_PX})
    found, again = (evaluate(model, corruptions=True).corruptions for _ in range(2))
    assert found == again
    assert list(found.miou) == ["rain", "snow", "fog", "night", "blur", "noise", "jpeg"]
    assert {len(scores) for scores in found.miou.values()} == {5}
    assert found.clean_miou == evaluate(model).miou
    assert found.kept("fog") == pytest.approx([miou / found.clean_miou for miou in found.miou["fog"]])
    assert 0 < found.mean_kept() < 1


def test_a_picture_shows_some_images_and_changes_no_score(root, tmp_path):
    model = predictor(root)
    grid = tmp_path / "grid.png"
    drawn, _ = evaluate_model(model, Evaluation(split="val", grid=grid))
    plain, _ = evaluate_model(model, Evaluation(split="val"))
    assert drawn.model_copy(update={"evaluated_at": ""}) == plain.model_copy(update={"evaluated_at": ""})
    with Image.open(grid) as picture:
        pixels = np.asarray(picture)
    road = np.array(label_space().colors[0])
    # Photo, truth and prediction stand beside each other; all rows hold road in the truth.
    assert (pixels[:, 480:960] == road).all(axis=-1).sum() > 1000
