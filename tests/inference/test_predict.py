import numpy as np
import pytest
import torch
from fake_sweep import empty_sweep, record
from PIL import ExifTags, Image
from typer.testing import CliRunner

from segray.cli import app
from segray.config import RunConfig
from segray.engine import checkpoint
from segray.engine.state import build_state
from segray.errors import DataError, StorageError
from segray.inference.predict import predict_file
from segray.inference.prediction import Prediction
from segray.inference.predictor import Predictor
from segray.labels import LabelSpace
from segray.models import SegmentationModel
from segray.records import CheckpointPointer

SPACE = LabelSpace(names=("sky", "road"), colors=((0, 0, 255), (128, 64, 128)), raw_to_train={0: 0, 1: 1})


class BrightIsSky(torch.nn.Module):
    def forward(self, photos_BCHW):
        brightness = photos_BCHW.mean(1, keepdim=True)
        return torch.cat([brightness, -brightness], 1)


@pytest.fixture
def photo_HWC():  # noqa: N802 - a shape suffix
    photo = np.zeros((30, 41, 3), np.uint8)
    photo[:15] = 255
    return photo


@pytest.mark.parametrize("resize_px", [None, [10, 14], [60, 82]])
def test_predictions_have_the_photos_size_and_place(photo_HWC, resize_px):
    config = RunConfig().with_values({"data.resize_px": resize_px})
    predictor = Predictor([SegmentationModel(BrightIsSky(), stride=1)], config, SPACE)
    labels_HW = predictor.predict(photo_HWC).labels
    assert labels_HW.shape == (30, 41)
    assert labels_HW.dtype == np.uint8
    assert (labels_HW[:13] == 0).all()
    assert (labels_HW[17:] == 1).all()


def test_the_overlay_mixes_photo_and_class_colour(photo_HWC):
    labels_HW = np.zeros((30, 41), np.uint8)
    overlay = Prediction(photo_HWC, labels_HW, SPACE).overlay()
    assert overlay.shape == photo_HWC.shape
    assert tuple(overlay[29, 0]) == (0, 0, 140)
    assert overlay[0, 0, 2] == 255


@pytest.fixture
def sweep(tmp_path):
    """Write a sweep of two trials with a model each; the second has the higher mIoU."""
    sweep = empty_sweep(tmp_path)
    config = RunConfig().with_values({"model.encoder": "tu-test_resnet", "model.encoder_weights": "none"})
    state = build_state(config, SPACE, steps_per_epoch=1, device=torch.device("cpu"))
    for trial_id, miou in (("0000", 0.3), ("0001", 0.4)):
        trial = sweep.files.trial(trial_id)
        checkpoint.save(state, trial.folder.child("checkpoints/1-1"))
        pointer = CheckpointPointer(checkpoint="checkpoints/1-1", record=record(1, miou), seconds=1.0)
        trial.write_pointer("best", pointer)
    return sweep.files


@pytest.fixture
def photo(tmp_path, photo_HWC):
    path = tmp_path / "photo.png"
    Image.fromarray(photo_HWC).save(path)
    return path


def test_the_best_trials_model_is_used(tmp_path, sweep, photo):
    found = predict_file(sweep.folder.path, photo, tmp_path / "overlay.png")
    assert found.title == "trial 0001, val mIoU 40.0\u00a0%"
    shares = list(found.prediction.shares.values())
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert overlay.size == (41, 30)


def test_the_command_says_who_predicted_and_what_was_seen(tmp_path, sweep, photo):
    arguments = ["predict", sweep.folder.path, str(photo), "-o", str(tmp_path / "overlay.png")]
    said = CliRunner().invoke(app, arguments).output
    assert "overlay.png: trial 0001, val mIoU 40.0\u00a0%; mostly " in said


def test_a_sweep_without_a_model(tmp_path, photo):
    sweep = empty_sweep(tmp_path)
    with pytest.raises(StorageError, match=r"no trial of .* has a model: none has completed an epoch"):
        predict_file(sweep.files.folder.path, photo, tmp_path / "overlay.png")


@pytest.mark.parametrize("content", [b"", b"not a photo", None])
def test_a_photo_that_does_not_decode(tmp_path, sweep, content):
    photo = tmp_path / "bad.jpg"
    if content is not None:
        photo.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.jpg"):
        predict_file(sweep.folder.path, photo, tmp_path / "overlay.png")


def test_an_overlay_is_upright_where_the_camera_was_not(tmp_path, sweep, photo_HWC):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(photo_HWC).save(tmp_path / "turned.jpg", exif=exif)
    predict_file(sweep.folder.path, tmp_path / "turned.jpg", tmp_path / "overlay.png")
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert overlay.size == (30, 41)


def test_a_photo_too_large_to_decode(tmp_path, sweep, photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match=r"photo\.png.*decompression bomb"):
        predict_file(sweep.folder.path, photo, tmp_path / "overlay.png")


@pytest.mark.parametrize(
    ("output", "why"), [("missing/overlay.png", "there is no folder"), ("overlay.xyz", r"name a \.png or \.jpg file")]
)
def test_an_overlay_that_cannot_be_written(tmp_path, sweep, photo, output, why):
    with pytest.raises(StorageError, match=why):
        predict_file(sweep.folder.path, photo, tmp_path / output)
