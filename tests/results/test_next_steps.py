"""Commands that use the best model of a run."""

import shlex
from pathlib import Path

import pytest
from fake_sweep import empty_sweep, record, write_trial

from segray.records import CheckpointPointer
from segray.results.next_steps import model_folder, next_commands


@pytest.fixture
def trial(tmp_path):
    trial = write_trial(empty_sweep(tmp_path), "0003", {}, [0.3])
    trial.write_pointer("best", CheckpointPointer(checkpoint="checkpoints/1-1", record=record(1), seconds=1.0))
    return trial


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("runs/camvid", "runs/camvid"),
        ("/data/my runs/camvid", "/data/my runs/camvid"),
        (f"{Path.home()}/segray/runs/camvid", "~/segray/runs/camvid"),
        ("s3://me:secret@bucket/runs/camvid", "s3://***@bucket/runs/camvid"),
    ],
)
def test_paths_are_those_that_were_typed_without_home_and_keys(trial, location, shown):
    assert model_folder(location, trial) == f"{shown}/trials/0003/checkpoints/1-1"
    for _, command in next_commands(location, has_test_images=True):
        assert shown in shlex.split(command)
        assert "'~" not in command


def test_a_trial_without_a_model_has_no_folder(tmp_path):
    assert model_folder("runs/camvid", write_trial(empty_sweep(tmp_path), "0003", {}, [0.3])) == ""


@pytest.mark.parametrize(
    ("has_test_images", "command"), [(True, "segray evaluate r"), (False, "segray evaluate r --split val")]
)
def test_a_run_without_test_images_is_scored_on_validation(has_test_images, command):
    assert dict(next_commands("r", has_test_images=has_test_images))["score it"] == command


def test_images_that_trained_the_model_score_nothing():
    assert "score it" not in dict(next_commands("r", has_test_images=False, trains_on_val=True))
    assert "score it" in dict(next_commands("r", has_test_images=True, trains_on_val=True))
