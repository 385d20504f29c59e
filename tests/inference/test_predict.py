"""Predictions, and jobs of photos, splits and videos with a trained model."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_sweep import empty_sweep
from PIL import ExifTags, Image
from tiny_models import SPACE, BrightIsSky, half_bright, sweep_with_models, write_photos

from segray.config import RunConfig
from segray.data.splits.split_record import record_splits
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError, StorageError
from segray.inference.choice import ModelChoice
from segray.inference.predict import Request, prepare
from segray.inference.prediction import Prediction
from segray.inference.predictor import Predictor, load_model
from segray.models import SegmentationModel


@pytest.mark.parametrize("resize_px", [None, [10, 14], [60, 82]])
def test_predictions_have_the_photos_size_and_place(resize_px):
    config = RunConfig().with_values({"data.resize_px": resize_px})
    predictor = Predictor([SegmentationModel(BrightIsSky(), stride=1)], config, SPACE)
    labels_HW = predictor.predict(half_bright()).labels
    assert labels_HW.shape == (30, 41)
    assert labels_HW.dtype == np.uint8
    assert (labels_HW[:13] == 0).all()
    assert (labels_HW[17:] == 1).all()


def test_the_overlay_mixes_photo_and_class_colour():
    photo_HWC = half_bright()
    labels_HW = np.zeros((30, 41), np.uint8)
    overlay = Prediction(photo_HWC, labels_HW, SPACE).overlay()
    assert overlay.shape == photo_HWC.shape
    assert tuple(overlay[29, 0]) == (0, 0, 140)
    exact = 0.55 * Prediction(photo_HWC, labels_HW, SPACE).colors() + 0.45 * photo_HWC
    assert np.abs(overlay - exact).max() <= 0.5 + 1e-6
    assert overlay[0, 0, 2] == 255


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Write a sweep of two trials with a model each, and return its folder."""
    return sweep_with_models(tmp_path_factory.mktemp("runs")).folder.path


@pytest.fixture
def job(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def prepared(*places, location=run, **options):
        return prepare(ModelChoice(location=str(location)).load, Request(places=tuple(map(str, places)), **options))

    return prepared


def test_the_best_trials_model_is_used(tmp_path, job):
    (photo,) = write_photos(tmp_path, "photo.png")
    found = job(photo)
    (predicted,) = found.results()
    assert found.model.title == "trial 0001, val mIoU 40.0\u00a0%"
    shares = list(predicted.shares.values())
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert overlay.size == (41, 30)


def test_a_sweep_without_a_model(tmp_path, job):
    (photo,) = write_photos(tmp_path, "photo.png")
    sweep = empty_sweep(tmp_path)
    with pytest.raises(StorageError, match=r"no trial of .* has a model: none has completed an epoch"):
        job(photo, location=sweep.files.folder.path)


@pytest.mark.parametrize("content", [b"", b"not a photo"])
def test_a_photo_that_does_not_decode(tmp_path, job, content):
    photo = tmp_path / "bad.jpg"
    photo.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.jpg"):
        list(job(photo).results())


def test_an_overlay_is_upright_where_the_camera_was_not(tmp_path, job):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(half_bright()).save(tmp_path / "turned.jpg", exif=exif)
    list(job(tmp_path / "turned.jpg").results())
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert overlay.size == (30, 41)


def test_a_photo_too_large_to_decode(tmp_path, job, monkeypatch):
    (photo,) = write_photos(tmp_path, "photo.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match=r"photo\.png.*decompression bomb"):
        list(job(photo).results())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3000), (3, 10_000)])
def test_a_photo_of_an_odd_size(tmp_path, job, height, width):
    (photo,) = write_photos(tmp_path, "photo.png", height=height, width=width)
    (predicted,) = job(photo, output="out", kinds=("overlay", "probabilities")).results()
    assert not predicted.error
    with Image.open(tmp_path / "out/overlay/photo.png") as overlay:
        assert overlay.size == (width, height)


def test_a_second_start_does_what_the_first_left(tmp_path, job):
    write_photos(tmp_path / "photos", "1.png", "2.png", "10.png")
    first = job("photos", output="out").results()
    assert [next(first).name] == ["1"]
    first.close()
    (tmp_path / "out/overlay/10.png").unlink(missing_ok=True)
    (tmp_path / "out/overlay/2.png").unlink(missing_ok=True)
    second = job("photos", output="out", existing="resume")
    assert second.done == {"1"}
    assert [one.name for one in second.results()] == ["2", "10"]
    assert list(job("photos", output="out", existing="resume").results()) == []


def test_a_second_start_may_replace_results(tmp_path, job):
    write_photos(tmp_path / "photos", "1.png")
    list(job("photos", output="out").results())
    (tmp_path / "out/overlay/1.png").write_bytes(b"older")
    list(job("photos", output="out", existing="overwrite").results())
    with Image.open(tmp_path / "out/overlay/1.png") as overlay:
        assert overlay.size == (41, 30)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "needs photos or --split"),
        ({"places": ("a.png",), "split": "test"}, "needs photos or --split"),
        ({"places": ("a.png",), "data_root": "data"}, "--data names the folder of the data set for --split"),
        ({"places": ("a.png",), "batch_size": 0}, "--batch must be at least 1"),
    ],
)
def test_requests_that_make_no_sense(options, why):
    with pytest.raises(ConfigError, match=why):
        Request(**options)


def test_label_ids_that_a_data_set_does_not_have_are_refused_before_the_first_photo(tmp_path, job):
    space = SPACE.model_copy(update={"raw_to_train": {}})
    location = sweep_with_models(tmp_path / "runs", space).folder.path
    write_photos(tmp_path / "photos", "1.png")
    with pytest.raises(ConfigError, match="its labels hold no ids; use train ids"):
        job("photos", location=location, kinds=("label_ids",), output="out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def cityscapes(tmp_path_factory):
    """Write a data set with photos of an official test split, and a sweep on it."""
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes("cityscapes", root, train=4, val=2, test=2, size_px=(32, 64))
    files = sweep_with_models(tmp_path_factory.mktemp("runs"), **{"data.root": str(root)})
    files.write_splits(record_splits(RunConfig().with_values({"data.root": str(root)}).data))
    return root, files.folder.path


def test_a_split_gives_the_photos_that_the_run_recorded(cityscapes, job):
    root, location = cityscapes
    split = partial(job, location=location, output="out")
    val = split(split="val")
    assert [file.path.is_relative_to(root / "leftImg8bit/val") for file in val.files] == [True, True]
    assert len(list(val.results())) == 2
    assert len(split(split="train", output="train").files) == 4


def test_the_test_split_without_labels_gives_the_official_photos(cityscapes, tmp_path, job):
    root, location = cityscapes
    list(job(split="test", location=location, output="out").results())
    written = {path.stem for path in (tmp_path / "out/overlay").rglob("*.png")}
    assert written == {path.stem for path in (root / "leftImg8bit/test").rglob("*.png")}


def test_a_split_of_a_data_set_that_lies_elsewhere_or_lacks_images(cityscapes, tmp_path, job):
    root, location = cityscapes
    (tmp_path / "moved").symlink_to(root)
    assert len(job(split="val", location=location, data_root=str(tmp_path / "moved"), output="a").files) == 2
    write_scenes("cityscapes", tmp_path / "other", train=4, val=1, size_px=(32, 64))
    with pytest.raises(DataError, match="must hold the 2 images of the run's val split, but lacks 1"):
        job(split="val", location=location, data_root=str(tmp_path / "other"), output="b")
    with pytest.raises(ConfigError, match="did you mean 'test'"):
        job(split="tets", location=location, output="b")


def test_a_test_split_that_is_not_there(tmp_path, job):
    write_scenes("camvid", tmp_path / "scenes", train=3, val=2, size_px=(32, 64))
    values = {"data.dataset": "camvid", "data.root": str(tmp_path / "scenes")}
    location = sweep_with_models(tmp_path / "runs", **values).folder.path
    with pytest.raises(DataError, match=r"the test split of camvid .* has no photo"):
        job(split="test", location=location, output="out")
    assert len(job(split="val", location=location, output="out").files) == 2


def test_the_photos_of_a_split_are_cut_out_of_files_that_hold_photo_and_mask(tmp_path):
    write_scenes("cityscapes_pairs", tmp_path / "pairs", train=2, val=2, size_px=(32, 64))
    values = {"data.dataset": "cityscapes_pairs", "data.root": str(tmp_path / "pairs")}
    run = sweep_with_models(tmp_path / "runs", **values).folder.path
    request = Request(split="val", output=str(tmp_path / "out"), kinds=("overlay",))
    found = prepare(ModelChoice(location=run).load, request)
    assert len(list(found.results())) == len(found.files)
    sizes = {cv2.imread(str(path)).shape[:2] for path in (tmp_path / "out/overlay").rglob("*.png")}
    assert sizes == {(32, 64)}


def test_an_overwrite_that_is_cut_leaves_no_result_of_another_model(tmp_path, run, job):
    photos = write_photos(tmp_path / "photos", "a.png", "b.png", "c.png")
    out = tmp_path / "out"
    list(job(tmp_path / "photos", output=str(out)).results())
    (out / "overlay/mine.png").write_bytes(b"kept")
    other = f"{run}/trials/0000"
    job(*photos[:2], location=other, output=str(out), existing="overwrite")
    # Photos that were not asked for keep the results that they have.
    assert {path.name for path in (out / "overlay").iterdir()} == {"c.png", "mine.png"}
    resumed = job(*photos[:2], location=other, output=str(out), existing="resume")
    assert [file.name for file in resumed.files] == ["a", "b"]


def test_a_model_whose_sweep_is_damaged_is_still_a_model(tmp_path, monkeypatch):
    files = sweep_with_models(tmp_path)
    Path(files.folder.path, "sweep.json").write_text("{")
    model = load_model(f"{files.folder.path}/trials/0000")
    assert model.title.replace("\u00a0", " ") == "trial 0000, val mIoU 30.0 %"
