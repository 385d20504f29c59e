from types import SimpleNamespace

import fake_sweep
import pytest
from rich.console import Console
from typer.testing import CliRunner

from segray import text
from segray.cli import app, model_options, scores_table
from segray.cli.scores_table import print_scores
from segray.config import RunConfig
from segray.errors import ConfigError, StorageError
from segray.inference import sweep_scores
from segray.inference.sweep_scores import Evaluation
from segray.split_scores import SplitScores
from segray.storage import open_sweep


@pytest.fixture
def calls(monkeypatch):
    """What the command asks for, in place of a model and an evaluation."""
    found = []
    location = SimpleNamespace(sweep=open_sweep("runs/camvid"))
    model = SimpleNamespace(config=RunConfig(), location=location)

    def choose_model(run, **given):
        found.append((run, given))
        return SimpleNamespace(load=lambda: model)

    monkeypatch.setattr(model_options, "choose_model", choose_model)

    def evaluate_model(model, asked, announce):
        found.append(asked)
        announce("judged 1 of 5 images")
        return fake_sweep.detailed_scores(), True

    monkeypatch.setattr(sweep_scores, "evaluate_model", evaluate_model)
    return found


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)


def test_options_choose_model_images_and_way_of_predicting(calls):
    ended = run(
        *("runs/camvid", "--trial", "0003", "--split", "val", "--dataset", "folder", "--data", "own", "--corruptions"),
        *("--set", "data.folder.classes=[road, sky]", "--window", "64x96", "--overlap", "0.25", "--tta", "flip"),
        *("--device", "cpu", "--ensemble", "2"),
    )
    assert ended.exit_code == 0
    model, asked = calls
    chosen = {"trial": "0003", "ensemble": 2, "device": "cpu", "window": "64x96", "overlap": 0.25, "tta": "flip"}
    assert model == ("runs/camvid", chosen)
    values = {"data.folder.classes": ["road", "sky"]}
    assert asked == Evaluation(split="val", root="own", dataset="folder", values=values, corruptions=True)


def test_everything_is_printed_and_the_kept_file_is_named(calls):
    printed = run("runs/camvid/trials/0000").stdout
    found = fake_sweep.detailed_scores()
    for shown in (
        f"test mIoU {text.percent(found.miou)} at the labels' own size (mean over 10 of 11 classes) of trial 0000",
        "test mIoU 40.0\u00a0% on labels resized to 160×224, the size of training: trials are compared by it",
        "boundary IoU 29.0\u00a0%, loss 0.7312, calibration error (ECE) 4.3\u00a0%",
        "worst images by mIoU: Seq05VD_f00000 20.0\u00a0%, Seq05VD_f00001",
        "KITTI Road: MaxF 91.0\u00a0%",
        "under corruptions, 70.0\u00a0% of mIoU 38.0\u00a0% is kept",
        "runs/camvid/test.json",
    ):
        assert shown in printed
    assert [line.split()[0] for line in printed.splitlines()[1:12]] == list(found.classes)


def test_json_holds_all_scores_alone_on_standard_output_and_in_a_file(calls, tmp_path):
    ended = run("runs/camvid", "--json", "--output", str(tmp_path / "scores.json"))
    assert SplitScores.model_validate_json(ended.stdout) == fake_sweep.detailed_scores()
    assert (tmp_path / "scores.json").read_text() + "\n" == ended.stdout
    assert "judged 1 of 5 images" in ended.stderr


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--output", "no/folder/scores.json"], StorageError, "there is no folder"),
        (["--set", "train.epochs=3"], ConfigError, "train.epochs"),
        (["--set", "data.root=here"], ConfigError, "--data"),
    ],
)
def test_what_cannot_work_is_said_before_a_model_is_loaded(calls, options, error, message):
    with pytest.raises(error, match=message):
        run("runs/camvid", *options)
    assert calls == []


def test_scores_of_an_earlier_version_can_be_printed(monkeypatch, capsys):
    monkeypatch.setattr(scores_table, "Console", lambda **given: Console(width=200, **given))
    print_scores(fake_sweep.scores())
    printed = capsys.readouterr().out
    assert "test mIoU 38.0\u00a0% (mean over all 11 classes)" in printed
    assert "own size" not in printed
