"""Zips for benchmarks: written, checked, and scored by the official script."""

import importlib
import io
import warnings
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hand_made import by_color
from PIL import Image

from segray.data.datasets.cityscapes import LABELS, label_space
from segray.data.datasets.kitti_road import CLASSES
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError, StorageError
from segray.inference.submission import SUBMISSIONS, find_benchmark
from segray.inference.submission.validate import check_submission
from segray.inference.submission.write import benchmark_photos, check_zip, write_submission
from segray.labels import LabelSpace
from segray.metrics import confusion_matrix, scores

ROAD_SPACE = LabelSpace(names=tuple(CLASSES), colors=tuple(CLASSES.values()))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "cityscapes"
    write_scenes("cityscapes", root, train=1, val=3, test=3, size_px=(40, 64), seed=0)
    return str(root)


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "kitti"
    write_scenes("kitti_road", root, train=3, val=1, test=4, size_px=(40, 120), seed=0)
    return str(root)


def submission(name, root, model, target, split=None):
    benchmark, split = find_benchmark(name, split)
    photos = benchmark_photos(benchmark, root, split)
    write_submission(model, benchmark, photos, target)
    return benchmark, photos


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in archive.namelist()}


@pytest.mark.parametrize("classes", ["train_ids", "label_ids"])
def test_cityscapes_files_hold_the_label_ids_of_the_predictions(root, tmp_path, classes):
    space = label_space(classes)
    model = by_color(space)
    _, photos = submission("cityscapes", root, model, tmp_path / "s.zip")
    found = contents(tmp_path / "s.zip")
    assert set(found) == {f"{key}_labelIds.png" for key in photos}
    assert len(found) == 3
    names = {label_id: name for label_id, name, _, _ in LABELS}
    for key, photo in photos.items():
        labels = model.predict(photo).labels
        ids = found[f"{key}_labelIds.png"]
        assert ids.dtype == np.uint8
        assert ids.shape == (40, 64)
        assert [names[value] for value in ids.ravel().tolist()] == [space.names[label] for label in labels.ravel()]


def official_scores(root, folder, split):
    """Score unpacked files as the benchmark's server does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        official = importlib.import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    args = SimpleNamespace(**vars(official.args))
    args.predictionPath, args.predictionWalk = str(folder), None
    args.evalInstLevelScore, args.quiet, args.JSONOutput = False, True, False
    truths = sorted(str(path) for path in (root / "gtFine" / split).glob("*/*_labelIds.png"))
    found = [official.getPrediction(args, truth) for truth in truths]
    return official.evaluateImgLists(found, truths, args)


def test_the_official_script_scores_the_zip_as_segray_does(root, tmp_path):
    model = by_color(label_space())
    submission("cityscapes", root, model, tmp_path / "s.zip", "val")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    path = type(tmp_path)(root)
    official = official_scores(path, tmp_path / "unpacked", "val")
    matrix = torch.zeros(19, 19, dtype=torch.int64)
    to_train = np.array([train_id for _, _, train_id, _ in LABELS], np.uint8)
    for photo in sorted((path / "leftImg8bit" / "val").glob("*/*.png")):
        truth = path / "gtFine" / "val" / photo.parent.name / photo.name.replace("leftImg8bit", "gtFine_labelIds")
        labels = torch.from_numpy(to_train[np.asarray(Image.open(truth))])
        matrix += confusion_matrix(torch.from_numpy(model.predict(photo).labels)[None], labels[None], 19)
    own = dict(zip(label_space().names, scores(matrix).iou, strict=True))
    compared = {name: iou for name, iou in official["classScores"].items() if own.get(name) is not None}
    assert len(compared) > 5
    assert sum(iou > 0 for iou in compared.values()) > 2
    assert compared == pytest.approx({name: own[name] for name in compared}, abs=1e-9)
    # The script counts classes that are predicted though no label has them as 0, or does not score them at all.
    assert all(np.isnan(iou) or iou == 0 for name, iou in official["classScores"].items() if name not in compared)


def test_kitti_files_hold_the_confidence_of_road(kitti, tmp_path):
    model = by_color(ROAD_SPACE)
    benchmark, photos = submission("kitti_road", kitti, model, tmp_path / "s.zip")
    found = contents(tmp_path / "s.zip")
    assert set(found) == {"um_road_000000.png", "um_road_000001.png", "umm_road_000000.png", "uu_road_000000.png"}
    expected = model.predict(photos["um_000001"], probabilities=True).probabilities[1]
    assert np.abs(found["um_road_000001.png"] / 255 - expected).max() <= 0.5 / 255 + 1e-6
    assert len(np.unique(found["um_road_000001.png"])) > 2
    assert check_submission(tmp_path / "s.zip", benchmark, photos) == 4


def test_the_road_of_another_data_set_is_a_road(kitti, tmp_path):
    submission("kitti_road", kitti, by_color(label_space()), tmp_path / "s.zip")
    assert len(contents(tmp_path / "s.zip")) == 4


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        (
            "cityscapes",
            label_space("categories"),
            r"asks for label ids, but .*are all 'void'.*: train_ids",
        ),
        ("cityscapes", ROAD_SPACE, "its labels hold no ids"),
        (
            "cityscapes",
            LabelSpace(names=("sky", "mud"), colors=((0, 0, 1), (0, 0, 2)), raw_to_train={23: 0, 7: 1}),
            "the model's class 'mud' has id 7, which is 'road' in Cityscapes",
        ),
        (
            "cityscapes",
            LabelSpace(names=("sky", "mud"), colors=((0, 0, 1), (0, 0, 2)), raw_to_train={23: 0, 99: 1}),
            "'mud' has id 99, which does not exist",
        ),
        ("kitti_road", label_space("categories"), "asks for the confidence of a class 'road', but the model has void"),
    ],
)
def test_classes_that_do_not_suit_the_benchmark_are_refused(root, kitti, tmp_path, name, space, message):
    with pytest.raises(ConfigError, match=message):
        submission(name, root if name == "cityscapes" else kitti, by_color(space), tmp_path / "s.zip")
    assert not list(tmp_path.iterdir())


def png(values, mode=None):
    stream = io.BytesIO()
    Image.fromarray(values).convert(mode or "L").save(stream, "PNG")
    return stream.getvalue()


GOOD = png(np.full((40, 64), 7, np.uint8))


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)


@pytest.mark.parametrize("ending", ["_labelIds.png", "_leftImg8bit.png", ".png"])
@pytest.mark.parametrize("folder", ["", "results/deep/"])
def test_any_name_that_the_official_script_finds_is_accepted(root, tmp_path, ending, folder):
    benchmark, split = find_benchmark("cityscapes")
    photos = benchmark_photos(benchmark, root, split)
    zipped(tmp_path / "s.zip", [(folder, "")] * bool(folder) + [(f"{folder}{key}{ending}", GOOD) for key in photos])
    assert check_submission(tmp_path / "s.zip", benchmark, photos) == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda first, files: files[1:], r"glenville_000000_000019_labelIds.png: is missing, for the photo /"),
        (lambda first, files: [*files, ("notes.txt", b"")], r"notes.txt: belongs to no image of the split"),
        (lambda first, files: [*files, ("a_000_01.png", GOOD)], r"a_000_01.png: belongs to no image of the split"),
        (lambda first, files: [*files, (f"b/{first}", GOOD)], r"000019.png is of the same image; remove one"),
        (lambda first, files: [(first, png(np.full((40, 64), 34, np.uint8))), *files[1:]], r"but holds 34"),
        (
            lambda first, files: [(first, png(np.full((40, 64), 255, np.uint8))), *files[1:]],
            r"but holds 255",
        ),
        (lambda first, files: [(first, png(np.zeros((64, 40), np.uint8))), *files[1:]], r"size, 64x40, but has 40x64"),
        (lambda first, files: [(first, png(np.zeros((40, 64, 3), np.uint8), "RGB")), *files[1:]], r"but is RGB"),
        (lambda first, files: [(first, png(np.zeros((40, 64), np.uint8), "I;16")), *files[1:]], r"but is I;16"),
        (lambda first, files: [(first, GOOD[:-30]), *files[1:]], r"is no PNG that decodes"),
        (lambda first, files: [(first, b"GIF89a"), *files[1:]], r"is no PNG that decodes"),
    ],
)
def test_what_the_benchmark_would_not_score_is_found(root, tmp_path, change, problem):
    benchmark, split = find_benchmark("cityscapes")
    photos = benchmark_photos(benchmark, root, split)
    files = [(f"{key}.png", GOOD) for key in photos]
    zipped(tmp_path / "s.zip", change(files[0][0], files))
    with pytest.raises(DataError, match=problem) as caught:
        check_submission(tmp_path / "s.zip", benchmark, photos)
    assert len(caught.value.problems) == 1


def test_kitti_files_must_lie_at_the_top_under_their_own_names(kitti, tmp_path):
    benchmark, split = find_benchmark("kitti_road")
    photos = benchmark_photos(benchmark, kitti, split)
    zipped(tmp_path / "s.zip", [("um_000000.png", GOOD), ("sub/uu_road_000000.png", GOOD)])
    with pytest.raises(DataError, match="6 problems") as caught:
        check_submission(tmp_path / "s.zip", benchmark, photos)
    assert len(caught.value.problems) == 6


def test_a_file_that_is_no_zip_is_refused(root, tmp_path):
    (tmp_path / "s.zip").write_bytes(b"no zip")
    benchmark, split = find_benchmark("cityscapes")
    with pytest.raises(DataError, match="must be a zip file that can be read"):
        check_submission(tmp_path / "s.zip", benchmark, benchmark_photos(benchmark, root, split))


def test_a_photo_that_does_not_decode_leaves_no_zip(root, tmp_path):
    benchmark, split = find_benchmark("cityscapes")
    photos = dict(benchmark_photos(benchmark, root, split))
    (tmp_path / "cut.png").write_bytes(GOOD[:-30])
    photos["zzz_000000_000019"] = tmp_path / "cut.png"
    heard = []
    with pytest.raises(DataError, match=r"cut\.png: does not decode"):
        write_submission(
            by_color(label_space()), benchmark, photos, tmp_path / "s.zip", lambda *step: heard.append(step)
        )
    assert heard == [(1, 8), (2, 8), (3, 8)]
    assert [path.name for path in tmp_path.iterdir()] == ["cut.png"]


def test_equal_predictions_give_equal_zips(root, tmp_path):
    for name in ("a", "b"):
        submission("cityscapes", root, by_color(label_space()), tmp_path / f"{name}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_names_and_places_that_cannot_work_are_refused(root, kitti, tmp_path):
    with pytest.raises(ConfigError, match="unknown benchmark 'kitty_road'; did you mean 'kitti_road'"):
        find_benchmark("kitty_road")
    with pytest.raises(ConfigError, match="--split of kitti_road must be test, but got 'val'"):
        find_benchmark("kitti_road", "val")
    with pytest.raises(StorageError, match=r"name a \.zip file"):
        check_zip(tmp_path / "s.tar")
    with pytest.raises(DataError, match="must hold leftImg8bit"):
        benchmark_photos(SUBMISSIONS["cityscapes"], kitti, "test")
    with pytest.raises(DataError, match="must hold testing/image_2"):
        benchmark_photos(SUBMISSIONS["kitti_road"], root, "test")
