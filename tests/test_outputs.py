"""No command overwrites its input, or writes into a data set or among a sweep's files; it refuses before any work."""

import os
from pathlib import Path

import fake_sweep
import pytest
from PIL import Image
from tiny_models import sweep_with_models
from typer.testing import CliRunner

from dashboards.report import write_report
from segray.cli import app
from segray.config import RunConfig
from segray.data.synthetic import write_scenes
from segray.data.tools.sample import sample
from segray.data.tools.show import show
from segray.errors import StorageError
from segray.files import output_path
from segray.inference.output_place import open_outputs


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"precious")
    return path


@pytest.fixture
def sweep(tmp_path):
    return fake_sweep.empty_sweep(tmp_path).files.folder.path


def itself(path):
    return path


def another_spelling(path):
    return path.parent / "folder" / ".." / path.name


def a_link(path):
    (path.parent / "link.png").symlink_to(path)
    return path.parent / "link.png"


def a_hard_link(path):
    os.link(path, path.parent / "hard.png")
    return path.parent / "hard.png"


@pytest.mark.parametrize("spelled", [itself, another_spelling, a_link, a_hard_link])
def test_predict_does_not_write_over_its_photo(photo, spelled):
    with pytest.raises(StorageError, match="it is the input"):
        open_outputs(str(spelled(photo)), ["overlay"], [photo], is_one_photo=True)
    assert photo.read_bytes() == b"precious"


def config(root, dataset="cityscapes"):
    return RunConfig().with_values({"data.dataset": dataset, "data.root": str(root)}).data


@pytest.mark.parametrize(
    "write",
    [
        lambda root: show(config(root), root / "labels" / "grid.png"),
        lambda root: sample(config(root), root / "sample"),
        lambda root: write_report(fake_sweep_of(root), root / "report.html"),
    ],
    ids=["data show", "data sample", "report"],
)
def test_nothing_is_written_into_a_data_set(tmp_path, write):
    root = tmp_path / "data"
    (root / "labels").mkdir(parents=True)
    with pytest.raises(StorageError, match="it lies in the data set at"):
        write(root)
    assert list(root.rglob("*")) == [root / "labels"]


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (["export"], "model"),
        (["export"], "model.onnx"),
        (["soup"], "soup"),
        (["predict", "photo.png"], "predictions"),
    ],
)
def test_no_model_and_no_prediction_is_written_into_a_data_set_or_a_sweep(tmp_path, monkeypatch, command, target):
    monkeypatch.chdir(tmp_path)
    run = sweep_with_models(tmp_path, **{"data.root": str(tmp_path / "data")}).folder.path
    Image.new("RGB", (24, 16)).save(tmp_path / "photo.png")
    (tmp_path / "data").mkdir()
    name, *rest = command
    option = "-o" if name == "predict" else "--to"
    for place, why in ((tmp_path / "data", "it lies in the data set at"), (Path(run, "trials"), "files of the sweep")):
        result = CliRunner().invoke(app, [name, run, *rest, option, str(place / target)])
        assert isinstance(result.exception, StorageError), result.output
        assert why in str(result.exception)
        assert not (place / target).exists()


def fake_sweep_of(root):
    base = RunConfig().with_values({"data.root": str(root)}).flat()
    return fake_sweep.empty_sweep(root.parent / "runs", base=base).files.folder.path


@pytest.mark.parametrize("name", ["state.json", "study.db", "trials/0000/checkpoints/1-1/x.png", "samples/x.png"])
def test_nothing_is_written_among_a_sweeps_files(sweep, name, photo):
    target = f"{sweep}/{name}"
    for write in (
        lambda: write_report(sweep, target),
        lambda: open_outputs(target, ["overlay"], [photo], is_one_photo=True),
        lambda: write_scenes("cityscapes", f"{target}-scenes", train=1, val=1),
    ):
        with pytest.raises(StorageError, match="it lies among the files of the sweep"):
            write()


def test_a_report_lies_beside_its_sweeps_files_even_inside_the_data_set(tmp_path):
    base = RunConfig().with_values({"data.root": str(tmp_path)}).flat()
    path = fake_sweep.empty_sweep(tmp_path / "runs", base=base).files.folder.path
    assert write_report(path, f"{path}/report.html")


def test_an_older_output_is_replaced_whole(tmp_path, photo):
    (tmp_path / "out.png").write_bytes(b"older")
    assert output_path(tmp_path / "out.png", inputs=[photo]) == tmp_path / "out.png"


def test_what_cannot_be_a_path_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in ("nul\0.png", tmp_path / "loop", tmp_path / ("x" * 300) / "y.png"):
        with pytest.raises(StorageError, match="cannot write"):
            output_path(path)


def test_the_command_line_says_so_in_one_line(tmp_path, photo):
    run = sweep_with_models(tmp_path).folder.path
    result = CliRunner().invoke(app, ["predict", run, str(photo), "-o", str(photo)])
    assert isinstance(result.exception, StorageError)
