"""Every file of a sweep, damaged in every way: its readers return a right value or raise a SegrayError."""

import contextlib
import os
import shutil

import fake_sweep
import pytest
import torch
from PIL import Image
from tiny_run import LABEL_SPACE, tiny_config

from dashboards.figures import FIGURES, NothingToDrawError
from dashboards.report import render_report
from dashboards.summary import summarise
from segray.cli.results_table import trials_table
from segray.engine import checkpoint
from segray.engine.state import build_state
from segray.errors import DamagedError, SegrayError, StorageError
from segray.inference.predictor import load_model
from segray.inference.sweep_scores import Evaluation, evaluate_model
from segray.records import CheckpointPointer
from segray.results import load
from segray.storage import open_sweep

SMALL = {
    "splits.json": "the sweep: its splits.json is damaged",
    "test.json": "the sweep: its test.json is damaged",
    "state.json": "the sweep: its state.json is damaged",
    "trials/0001/config.json": "trial 0001 is left out: its config.json is damaged",
    "trials/0001/values.json": "trial 0001 is left out: its values.json is damaged",
    "trials/0001/outcome.json": "trial 0001 is left out: its outcome.json is damaged",
    "trials/0001/best.json": "trial 0001 is left out: its best.json is damaged",
    "trials/0002/last.json": "trial 0002: its last.json is damaged",
    "trials/0001-seed1-epochs2/outcome.json": "repeat 0001-seed1-epochs2 is left out: its outcome.json is damaged",
}
"""File that can be replaced -> the note on its damage in the results."""
OTHERS = [
    "sweep.json",
    "trials/0001/epochs.jsonl",
    "trials/0001/log.txt",
    "trials/0001/checkpoints/2-1/model.safetensors",
    "trials/0001/checkpoints/2-1/config.json",
    "trials/0001/checkpoints/2-1/label_space.json",
    "trials/0001/samples/0016E5_08001_prediction.png",
    "trials/0001/samples/0016E5_08001_epoch_0002.png",
    "samples/0016E5_08001_photo.png",
    "samples/0016E5_08001_truth.png",
]


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def binary(path):
    path.write_bytes(bytes(range(256)) * 4)


def a_list(path):
    path.write_bytes(b'[1, "two", null]')


def wrong_types(path):
    path.write_bytes(b'{"status": [], "epochs": "many", "checkpoint": 7, "train": {"epochs": "abc"}, "id": "x"}')


def deeply_nested(path):
    path.write_bytes(b'{"a":' * 100_000)


def not_a_number(path):
    path.write_bytes(b'{"seconds": NaN, "data.crop_px": Infinity}')


def a_folder(path):
    path.unlink()
    path.mkdir()


def missing(path):
    path.unlink()


DAMAGES = [empty, truncated, binary, a_list, wrong_types, deeply_nested, not_a_number, a_folder]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Write a sweep of three trials and a repeat: 0001 is the best and has a model, 0002 has not ended."""
    root = tmp_path_factory.mktemp("runs")
    sweep = fake_sweep.empty_sweep(root)
    sweep.files.write_splits(fake_sweep.splits(num_test=2))
    sweep.files.write_test_scores(fake_sweep.scores("0001", 2))
    fake_sweep.write_trial(sweep, "0000", {"optim.lr": 0.01}, [0.2, 0.3])
    best = fake_sweep.write_trial(sweep, "0001", {"optim.lr": 0.02}, [0.3, 0.4])
    fake_sweep.write_trial(sweep, "0002", {"optim.lr": 0.03}, [0.1], status=None)
    fake_sweep.write_repeats(sweep, "0001", [0.41], epochs=2)
    fake_sweep.write_samples(sweep, ["0001"])
    best.folder.append_line("log.txt", "epoch 1")
    state = build_state(tiny_config(), LABEL_SPACE, steps_per_epoch=1, device=torch.device("cpu"))
    for trial, miou in (("0000", 0.3), ("0001", 0.4)):
        files = sweep.files.trial(trial)
        checkpoint.save(state, files.folder.child("checkpoints/2-1"))
        pointer = CheckpointPointer(checkpoint="checkpoints/2-1", record=fake_sweep.record(2, miou), seconds=1.0)
        files.write_pointer("best", pointer)
    Image.new("RGB", (24, 16)).save(root / "photo.png")
    return root


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "runs")
    return tmp_path / "runs"


def read_results(root):
    results = load(root / "camvid")
    trials_table(results)
    summarise(results)
    results.as_json()
    results.as_csv()


def draw_samples(root):
    for name in ("predictions", "progress"):
        with contextlib.suppress(NothingToDrawError):
            FIGURES[name].plot(load(root / "camvid"))


def read_for_resume(root):
    files = open_sweep(root / "camvid")
    for trial in (*files.trials(), *files.repeats().values()):
        trial.records()
        trial.outcome()
        trial.pointer("last")
        trial.drop_old_checkpoints()
    files.state()
    files.best()
    files.test_scores()


def predict(root):
    load_model(root / "camvid").predict(root / "photo.png")


def evaluate(root):
    evaluate_model(load_model(root / "camvid", trial="0001"), Evaluation())


def users(name):
    """Return the functions that read a file."""
    if name.endswith(".png"):
        return [draw_samples]
    if "checkpoints" in name:
        return [predict]
    readers = [read_results, read_for_resume]
    if name in ("sweep.json", "trials/0001/best.json"):
        readers += [predict, evaluate]
    return readers


@pytest.mark.parametrize("damage", [*DAMAGES, missing])
@pytest.mark.parametrize("name", [*SMALL, *OTHERS])
def test_no_damage_leads_to_a_traceback(root, name, damage):
    damage(root / "camvid" / name)
    for use in users(name):
        with contextlib.suppress(SegrayError):
            use(root)


@pytest.mark.parametrize("damage", [empty, a_list, wrong_types, a_folder])
@pytest.mark.parametrize("name", SMALL)
def test_the_results_name_what_is_damaged_and_go_on(root, name, damage):
    damage(root / "camvid" / name)
    results = load(root / "camvid")
    [line] = results.damage
    assert line.startswith(SMALL[name])
    assert results.num_left_out == (name.startswith("trials/0001/") and name != "trials/0002/last.json")
    assert results.best_trial()["id"] == ("0000" if results.num_left_out else "0001")
    assert len(results.trials) == 3 - results.num_left_out
    assert results.as_json()["damage"] == [line]
    assert any(line[1:] in note for note in summarise(results).notes)


def test_a_report_is_written_of_a_sweep_with_a_damaged_trial(root):
    empty(root / "camvid/trials/0001/outcome.json")
    empty(root / "camvid/samples/0016E5_08001_photo.png")
    assert "Trial 0001 is left out: its outcome.json is damaged" in render_report(load(root / "camvid"))


def test_predict_takes_the_best_trial_that_can_be_trusted(root):
    empty(root / "camvid/trials/0001/best.json")
    assert load_model(root / "camvid").location.trial.id == "0000"
    with pytest.raises(
        StorageError, match=r"the checkpoint of trial 0001 .* cannot be found: its best\.json is damaged"
    ):
        load_model(root / "camvid", trial="0001")


def test_lost_records_are_counted(root):
    path = root / "camvid/trials/0001/epochs.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(first + b"\n" + second[:50] + b"\n")
    results = load(root / "camvid")
    assert results.damage == ("trial 0001: 1 of its epochs are missing or damaged in epochs.jsonl",)
    assert results.best_trial()[["best_epoch", "best_val_miou"]].tolist() == [2, 0.4]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_an_unreadable_file_leaves_its_trial_out(root):
    (root / "camvid/trials/0001/outcome.json").chmod(0)
    [line] = load(root / "camvid").damage
    assert line.startswith("trial 0001 is left out: cannot read")


@pytest.mark.parametrize(
    "name",
    ["../../../victim", "checkpoints/../../0000", "/tmp", "checkpoints/", "checkpoints/a/b", "checkpoints/..", ""],
)
def test_a_pointer_outside_the_checkpoints_is_damage_and_deletes_nothing(root, name):
    trial = open_sweep(root / "camvid").trial("0002")
    (root / "victim").mkdir()
    pointer = trial.folder.read_json("last.json")
    trial.folder.write_json("best.json", pointer | {"checkpoint": name})
    trial.folder.write_bytes("checkpoints/1-1/model.safetensors", b"weights")
    assert trial.pointer("best") is None
    assert list(trial.damage()) == ["best.json"]
    trial.finish(fake_sweep.Outcome(status="finished"))
    assert (root / "victim").is_dir()
    assert trial.folder.names("checkpoints") == ["1-1"]


def test_a_sweep_that_cannot_be_read_says_what_to_do(root):
    empty(root / "camvid/sweep.json")
    with pytest.raises(DamagedError, match=r"sweep\.json' is damaged.*restore it from a backup, or start a new sweep"):
        load(root / "camvid")
