"""The trained model that a run goes on from."""

import pytest
from fake_sweep import empty_sweep, record, write_trial

from segray.config import RunConfig
from segray.errors import ConfigError, StorageError
from segray.records import CheckpointPointer
from segray.storage import open_sweep
from segray.tuning import source
from segray.tuning.source import recorded_lineage, trained_config, trained_weights


def write_model(trial, config, miou):
    trial.folder.write_json("checkpoints/3-1/config.json", config.model_dump(mode="json"))
    trial.folder.write_bytes("checkpoints/3-1/model.safetensors", b"")
    found = record(3, miou).model_copy(update={"best_score": miou})
    trial.write_pointer("best", CheckpointPointer(checkpoint="checkpoints/3-1", record=found, seconds=1.0))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write a run of two trials, the second of them the better, and stand above its folder."""
    monkeypatch.chdir(tmp_path)
    sweep = empty_sweep("runs", "streets")
    for trial_id, miou, rate in (("0000", 0.3, 0.01), ("0001", 0.5, 0.02)):
        trial = write_trial(sweep, trial_id, {"optim.lr": rate, "model.encoder_weights": "imagenet"}, [0.1, 0.2, miou])
        write_model(trial, RunConfig().with_values(sweep.info.base | {"optim.lr": rate}), miou)
    return sweep


def test_the_full_config_of_the_best_or_the_named_trial_comes_with_its_lineage(run):
    for trial, rate, score, named in (("0001", 0.02, "50.0", None), ("0000", 0.01, "30.0", "0000")):
        found = trained_config("runs/streets", named)
        values = {"optim.lr": rate, "model.encoder_weights": "imagenet"}
        assert found.config == RunConfig().with_values(run.info.base | values)
        assert found.objective == run.info.objective
        lineage = found.lineage
        assert (lineage.gave, lineage.location, lineage.run) == ("config", "runs/streets", "streets")
        assert (lineage.trial, lineage.epoch) == (trial, 3)
        title = f"trial {trial} of streets, epoch 3, val mIoU {score} %"
        assert lineage.title.replace("\u00a0", " ") == title


def test_the_weights_are_an_absolute_folder_that_workers_can_open(run, tmp_path):
    for location in ("runs/streets", "runs/streets/trials/0001", "runs/streets/trials/0001/checkpoints/3-1"):
        value, lineage = trained_weights(location)
        assert value == str(tmp_path / "runs/streets/trials/0001/checkpoints/3-1")
        assert (lineage.gave, lineage.trial, lineage.location) == ("weights", "0001", location)


def test_a_url_stays_one_and_a_key_in_it_is_refused(run, tmp_path, monkeypatch):
    folder = open_sweep("runs/streets").trial("0001").folder.child("checkpoints/3-1")
    monkeypatch.setattr(type(folder), "is_local", False)
    base = (tmp_path / "runs").as_uri()
    assert source._place(folder, f"{base}/streets?region=x").endswith(
        "runs/streets/trials/0001/checkpoints/3-1?region=x"
    )
    with pytest.raises(ConfigError, match=r"without login and key, .* 's3://\*\*\*@bucket/run'"):
        trained_weights("s3://me:secret@bucket/run")


def test_an_exported_model_has_a_lineage_without_a_run(tmp_path):
    (tmp_path / "exported").mkdir()
    folder = open_sweep(tmp_path / "exported").folder
    folder.write_bytes("model.safetensors", b"")
    with pytest.raises(StorageError, match=r"must have its config\.json beside it"):
        trained_config(str(tmp_path / "exported"))
    folder.write_json("config.json", RunConfig().model_dump(mode="json"))
    found = trained_config(str(tmp_path / "exported"))
    assert (found.config, found.lineage.title, found.lineage.run) == (RunConfig(), "the model in exported", "")


@pytest.mark.parametrize(
    ("location", "trial", "message"),
    [
        ("runs/nothing", None, "no model at"),
        ("runs/streets", "0007", "unknown trial '0007'; did you mean"),
        ("runs/streets/trials/0001", "0001", "--trial chooses a trial of a run"),
    ],
)
def test_what_is_not_there_is_refused(run, location, trial, message):
    with pytest.raises((StorageError, ConfigError), match=message):
        trained_config(location, trial)


def test_a_config_of_another_version_is_refused(run):
    run.files.trial("0001").folder.write_json("config.json", {"data": {"new_key": 1}})
    with pytest.raises(StorageError, match=r"cannot be used by this version of segray: unknown config key"):
        trained_config("runs/streets")


def test_a_resume_finds_what_the_first_start_took(run):
    lineage = trained_config("runs/streets").lineage
    begun = run.info.model_copy(update={"lineage": (lineage,)})
    assert recorded_lineage(begun, "config", "runs/streets") == lineage
    assert recorded_lineage(begun, "config", "runs/streets", "0001") == lineage
    assert recorded_lineage(begun, "config", "runs/streets", "0000") is None
    assert recorded_lineage(begun, "config", "runs/other") is None
    assert recorded_lineage(begun, "weights", "runs/streets") is None
    assert recorded_lineage(None, "config", "runs/streets") is None
