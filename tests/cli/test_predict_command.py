"""``segray predict`` as a person types it: what it writes, what it says, and its exit codes."""

import re
import subprocess
import sys

import pytest
from tiny_models import sweep_with_models, write_photos
from typer.testing import CliRunner

from segray.cli import app
from segray.errors import SegrayError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return sweep_with_models(tmp_path_factory.mktemp("runs")).folder.path


@pytest.fixture
def predict(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["predict", run, *arguments])


def test_one_photo_becomes_an_overlay_and_says_who_predicted_and_what_was_seen(tmp_path, predict):
    write_photos(tmp_path, "photo.png")
    said = predict("photo.png").output
    assert re.fullmatch(r".*/overlay\.png: trial 0001, val mIoU 40\.0\xa0%; mostly (sky|road) \d+%.*\n", said)
    assert predict("photo.png").exit_code == 0  # an older picture is replaced


def test_a_folder_becomes_folders_of_each_kind(tmp_path, predict):
    write_photos(tmp_path / "photos", "a/1.png", "b/1.png")
    ended = predict("photos", "-o", "out", "--save", "color,train_ids", "--tta", "flip", "--window", "16x16")
    assert ended.exit_code == 0, ended.output
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == [
        *("color/a/1.png", "color/b/1.png", "legend.png", "predictions.json"),
        *("train_ids/a/1.png", "train_ids/b/1.png"),
    ]
    assert "out: 2 photos as color, train_ids; trial 0001, val mIoU 40.0\u00a0%; mostly " in ended.output


def test_a_bad_photo_ends_the_command_and_names_the_ways_on(tmp_path, predict):
    write_photos(tmp_path / "photos", "1.png", "2.png", "3.png")
    (tmp_path / "photos/2.png").write_bytes(b"damaged")
    ended = predict("photos", "-o", "out")
    assert isinstance(ended.exception, SegrayError)
    assert ended.exception.exit_code == 2
    assert re.search(r"2\.png: .*; 1 photo before it is in .*out; --keep-going", str(ended.exception))
    assert [path.name for path in (tmp_path / "out/overlay").iterdir()] == ["1.png"]


def test_bad_photos_are_passed_over_named_and_counted(tmp_path, predict):
    write_photos(tmp_path / "photos", "1.png", "2.png", "3.png")
    (tmp_path / "photos/2.png").write_bytes(b"damaged")
    ended = predict("photos", "-o", "out", "--keep-going")
    assert ended.exit_code == 1
    assert re.search(r"not predicted: .*2\.png", ended.stderr)
    assert "2 photos as overlay, 1 not predicted; " in ended.stdout
    again = predict("photos", "-o", "out", "--keep-going", "--resume")
    assert again.exit_code == 1
    assert "0 photos as overlay, 2 were there, 1 not predicted; trial 0001" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "needs photos or --split"),
        (["photo.png", "--overwrite", "--resume"], "exclude each other"),
        (["photo.png", "--trial", "0009"], "unknown trial '0009'"),
        (["photo.png", "--save", "overlays"], "did you mean 'overlay'"),
        (["photo.png", "--window", "16"], "--window must be HEIGHTxWIDTH"),
        (["photo.png", "--tta", "flop"], "--tta must list flip"),
        (["photo.png", "--device", "gpu"], "--device must be cpu"),
        (["photo.png", "-o", "missing/overlay.png"], "there is no folder"),
        (["photo.png", "-o", "photo.png"], "it is the input"),
        (["photo.png", "--distributed"], "--distributed needs a folder as output"),
        (["missing.png"], "there is no photo, video or folder 'missing.png'"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, predict, arguments, why):
    write_photos(tmp_path, "photo.png")
    before = (tmp_path / "photo.png").read_bytes()
    ended = predict(*arguments)
    assert isinstance(ended.exception, SegrayError), ended.output
    assert re.search(why, str(ended.exception))
    assert (tmp_path / "photo.png").read_bytes() == before


def test_the_command_loads_no_library_that_it_does_not_need():
    code = (
        "import sys, segray.cli, segray.inference.predict, segray.inference.shots; "
        "print(*({'albumentations', 'scipy', 'sklearn', 'pandas', 'plotly', 'optuna', 'ray', 'av'} & {*sys.modules}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
