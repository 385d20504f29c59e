"""``segray video`` and ``segray submit`` as a person runs them."""

from types import SimpleNamespace

import av
import pytest
from fake_sweep import empty_sweep, record
from hand_made import by_color
from typer.testing import CliRunner

from segray.cli import app, model_options
from segray.data.datasets.cityscapes import label_space
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError, StorageError
from segray.output import call_or_exit


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "cityscapes"
    write_scenes("cityscapes", root, train=1, val=2, test=2, size_px=(32, 64), seed=0)
    return str(root)


@pytest.fixture
def model(monkeypatch, root):
    """Stand in for every model that a command loads."""
    made = by_color(label_space(), data__root=root)
    monkeypatch.setattr(model_options, "choose_model", lambda run, **options: SimpleNamespace(load=lambda: made))
    return made


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception:
        raise result.exception
    return result.output


def test_video_of_a_city(model, tmp_path):
    said = run("video", "runs/x", "--city", "elmstead", "-o", tmp_path / "v.mp4", "--fps", 2)
    assert said.endswith("v.mp4: 1 frame of 160x478, 0.5 s at 2 fps\n")
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].frames == 1


def test_video_of_a_folder_with_all_options(model, root, tmp_path):
    source = f"{root}/leftImg8bit/test/harwick"
    options = ["--view", "labels", "--legend", "none", "--frames", 1, "--max-width", 40, "--weather", "snow"]
    said = run("video", "runs/x", source, "-o", tmp_path / "v.gif", "--strength", 1, *options)
    assert "1 frame of 160x" in said


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], ConfigError, "name the frames once"),
        (["photos", "--city", "berlin"], ConfigError, "name the frames once"),
        (["photos"], DataError, "must be a video file or a folder of frames, but does not exist"),
        (["--city", "berlin"], ConfigError, "unknown city 'berlin'; choose from ashford, elmstead"),
        (["--city", "elmstead", "--data", "/nowhere"], DataError, "data folder '/nowhere' does not exist"),
        (["--city", "elmstead", "-o", "v.avi"], StorageError, r"name an \.mp4 or a \.gif file"),
        (["--city", "elmstead", "-o", "/nowhere/v.mp4"], StorageError, "there is no folder '/nowhere'"),
        (["--city", "elmstead", "--view", "top"], ConfigError, "unknown view 'top'"),
    ],
)
def test_what_a_video_cannot_be_made_of_is_refused(model, monkeypatch, tmp_path, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        run("video", "runs/x", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_video_is_not_written_into_the_data_or_over_its_source(model, root, tmp_path):
    with pytest.raises(StorageError, match="it lies in the data set"):
        run("video", "runs/x", "--city", "elmstead", "-o", f"{root}/v.mp4")
    run("video", "runs/x", "--city", "elmstead", "-o", tmp_path / "v.mp4")
    with pytest.raises(StorageError, match="it is the input"):
        run("video", "runs/x", tmp_path / "v.mp4", "-o", tmp_path / "v.mp4")


def test_a_model_of_other_data_needs_the_folder_of_cityscapes(model, tmp_path):
    model.config = model.config.with_values({"data.dataset": "camvid"})
    with pytest.raises(ConfigError, match=r"--data must name the folder of cityscapes, .* trained on camvid"):
        run("video", "runs/x", "--city", "elmstead", "-o", tmp_path / "v.mp4")
    with pytest.raises(ConfigError, match="--data must name the folder of cityscapes"):
        run("submit", "cityscapes", "runs/x", "-o", tmp_path / "s.zip")


def test_submit_writes_a_zip_that_its_check_accepts(model, root, tmp_path):
    said = run("submit", "cityscapes", "runs/x", "-o", tmp_path / "s.zip").splitlines()
    assert said[0].startswith(f"{tmp_path}/s.zip: 2 images of the test split, 0.0 MB; checked, no problem found")
    assert said[1].startswith("next: upload it as pixel-level semantic labelling at https://www.cityscapes-dataset.com")
    again = run("submit", "cityscapes", "--check", tmp_path / "s.zip", "--data", root)
    assert again.splitlines() == said[:1]
    with pytest.raises(DataError, match="has 4 problems"):
        run("submit", "cityscapes", "--check", tmp_path / "s.zip", "--data", root, "--split", "val")


def test_submit_of_val_says_that_it_is_not_what_the_server_scores(model, tmp_path):
    said = run("submit", "cityscapes", "runs/x", "-o", tmp_path / "s.zip", "--split", "val")
    assert said.splitlines()[1] == "note: cityscapes itself scores the test split"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["cityscape", "runs/x"], ConfigError, "unknown benchmark 'cityscape'; did you mean 'cityscapes'"),
        (["cityscapes"], ConfigError, "name the RUN whose model predicts, or a zip to check"),
        (["cityscapes", "runs/x", "--split", "train"], ConfigError, "--split of cityscapes must be test or val"),
        (["cityscapes", "runs/x", "-o", "s.tar"], StorageError, r"name a \.zip file"),
        (["cityscapes", "runs/x", "--check", "s.zip"], ConfigError, "--check needs the photos' folder"),
        (["cityscapes", "--check", "s.zip"], ConfigError, "--check needs the photos' folder"),
        (
            ["cityscapes", "--check", "s.zip", "--data", ".", "--tta", "flip", "--overlap", "0.5", "-o", "t.zip"],
            ConfigError,
            "--check predicts and writes nothing, so leave --output, --overlap, --tta out",
        ),
        (["kitti_road", "runs/x"], ConfigError, "--data must name the folder of kitti_road"),
    ],
)
def test_submissions_that_cannot_be_made_are_refused(model, monkeypatch, tmp_path, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        run("submit", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_finished_trial_says_so(tmp_path, monkeypatch, capsys):
    sweep = empty_sweep(tmp_path)
    sweep.files.trial("0000").append_record(record(1, 0.5))
    monkeypatch.setattr("sys.argv", ["segray", "submit", "cityscapes", sweep.files.folder.path])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        call_or_exit(app)
    assert "its trials: " in capsys.readouterr().err
