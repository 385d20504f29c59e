import shutil

import pytest
import torch
from fake_sweep import empty_sweep, record

import segray
from segray.config import RunConfig
from segray.engine import checkpoint
from segray.engine.state import build_state
from segray.errors import ConfigError, ResourceError, StorageError
from segray.inference.location import find_model
from segray.labels import LabelSpace
from segray.records import CheckpointPointer, Outcome
from segray.storage import open_sweep

SPACE = LabelSpace(names=("sky", "road"), colors=((0, 0, 255), (128, 64, 128)), raw_to_train={0: 0, 1: 1})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A sweep of three trials: the first two have a model, the second the better one; the third failed."""
    sweep = empty_sweep(tmp_path_factory.mktemp("runs"))
    config = RunConfig().with_values({"model.encoder": "tu-test_resnet", "model.encoder_weights": "none"})
    state = build_state(config, SPACE, steps_per_epoch=1, device=torch.device("cpu"))
    for trial_id, miou in (("0000", 0.3), ("0001", 0.4)):
        trial = sweep.files.trial(trial_id)
        checkpoint.save(state, trial.folder.child("checkpoints/1-1"))
        pointer = CheckpointPointer(checkpoint="checkpoints/1-1", record=record(1, miou), seconds=1.0)
        trial.write_pointer("best", pointer)
    sweep.files.trial("0002").finish(Outcome(status="failed", reason="no memory"))
    return sweep.files


@pytest.fixture
def files(saved, tmp_path):
    shutil.copytree(saved.folder.path, tmp_path / "camvid")
    return open_sweep(tmp_path / "camvid")


@pytest.mark.parametrize(
    ("place", "trial", "title"),
    [
        ("", None, "trial 0001, val mIoU 40.0\u00a0%"),
        ("", "0000", "trial 0000, val mIoU 30.0\u00a0%"),
        ("/trials/0000", None, "trial 0000, val mIoU 30.0\u00a0%"),
        ("/trials/0000/checkpoints/1-1", None, "trial 0000, val mIoU 30.0\u00a0%"),
    ],
)
def test_a_run_a_trial_and_a_checkpoint_are_found(files, place, trial, title):
    model = segray.load_model(files.folder.path + place, trial=trial, device="cpu")
    assert model.title == title
    assert model.names == ("sky", "road")


def test_a_checkpoint_alone_needs_no_run(files, tmp_path):
    shutil.copytree(f"{files.folder.path}/trials/0000/checkpoints/1-1", tmp_path / "model")
    model = segray.load_model(tmp_path / "model")
    assert model.title == f"the model at {tmp_path / 'model'}"
    assert (model.location.sweep, model.location.trial) == (None, None)


@pytest.mark.parametrize(
    ("place", "trial", "error", "message"),
    [
        ("", "0007", StorageError, "unknown trial '0007'"),
        ("", "0002", StorageError, r"trial 0002 of .* has no checkpoint, because it has completed no epoch"),
        ("/trials/0002", None, StorageError, r"trial 0002 of .* has no checkpoint"),
        (
            "/trials",
            None,
            StorageError,
            r"no model at .*: a model is the folder of a run \(with sweep.json\)",
        ),
        ("/nothing", None, StorageError, r"no model at .*nothing': there is no such folder"),
        ("/nothing", "0001", StorageError, r"no model at .*nothing': there is no such folder"),
        ("/trials/0000", "0001", ConfigError, r"--trial chooses a trial of a run, but .*0000' is no run"),
    ],
)
def test_what_is_not_there_is_named(files, place, trial, error, message):
    with pytest.raises(error, match=message):
        find_model(files.folder.path + place, trial)


def test_a_run_without_a_model_says_how_its_trials_ended(files):
    for trial in files.trials():
        trial.finish(Outcome(status="failed", reason="no memory"))
    with pytest.raises(StorageError, match=r"no trial of .* has a model: .*; its trials: 3 failed"):
        find_model(files.folder.path)


def test_a_damaged_pointer_is_named(files):
    files.trial("0000").folder.write_bytes("best.json", b"{")
    with pytest.raises(StorageError, match=r"the checkpoint of trial 0000 of .* cannot be found: its best.json is dam"):
        find_model(files.folder.path, "0000")


@pytest.mark.parametrize(
    ("device", "error", "message"),
    [("gpu", ConfigError, "--device must be cpu, cuda"), ("cuda:99", ResourceError, "no device 'cuda:99' here")],
)
def test_a_device_that_is_not_there(files, device, error, message):
    with pytest.raises(error, match=message):
        segray.load_model(files.folder.path, device=device)
