"""Ensembles of a run's best trials."""

import numpy as np
import pytest
import torch
from tiny_trials import sweep_of, tiny_config

from segray.cli.model_options import choose_model
from segray.errors import ConfigError, StorageError
from segray.inference.ensemble import load_ensemble
from segray.inference.predictor import load_model
from segray.records import Outcome
from segray.storage import open_sweep

TRIALS = {
    "0000": {"seed": 1, "train.precision": "float32"},
    "0001": {"seed": 2, "train.precision": "bfloat16", "train.channels_last": False, "train.ema_decay": 0.9},
    "0002": {"seed": 3, "train.precision": "float32", "train.channels_last": False},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("ensemble")
    config = tiny_config(root).with_values({"train.epochs": 1})
    return sweep_of(root / "runs", "three", config, TRIALS)


@pytest.fixture
def photo_HWC():  # noqa: N802 - a shape suffix
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def test_probabilities_are_the_mean_of_what_each_trial_says_alone(run, photo_HWC):
    together = load_ensemble(run.folder.path, 3, device="cpu").predict(photo_HWC, probabilities=True)
    alone = [
        load_model(run.folder.path, trial=trial, device="cpu").predict(photo_HWC, probabilities=True).probabilities
        for trial in TRIALS
    ]
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    np.testing.assert_allclose(together.probabilities, np.mean(alone, axis=0), atol=1e-5)


def test_each_trial_is_computed_in_its_own_precision(run):
    model = load_ensemble(run.folder.path, 3, device="cpu")
    own = {
        trial.id: (member.precision, member.channels_last)
        for (trial, _), member in zip(run.ranked(), model._members, strict=True)
    }
    assert own == {
        "0000": (torch.float32, True),
        "0001": (torch.bfloat16, False),
        "0002": (torch.float32, False),
    }


def test_the_best_trials_are_taken_and_named_and_failed_ones_are_not(run, tmp_path):
    best = [trial.id for trial, _ in run.ranked()]
    assert load_ensemble(run.folder.path, 2).title == f"ensemble of trials {best[0]}, {best[1]}"
    assert load_ensemble(run.folder.path, 1).title == load_model(run.folder.path).title
    failed = open_sweep(run.folder.path).trial(best[0])
    before = failed.outcome()
    try:
        failed.folder.delete("outcome.json")
        failed.finish(Outcome(status="failed"))
        assert load_ensemble(run.folder.path, 2).title == f"ensemble of trials {best[1]}, {best[2]}"
    finally:
        failed.folder.delete("outcome.json")
        failed.finish(before)


@pytest.mark.parametrize("k", [0, 4])
def test_a_number_of_trials_that_are_not_there_is_refused(run, k):
    with pytest.raises(ConfigError, match=rf"from 1 to 3, the trials of three that have a model .*, but got {k}"):
        load_ensemble(run.folder.path, k)


def test_what_is_no_run_has_no_ensemble(tmp_path):
    with pytest.raises(StorageError, match="no sweep at"):
        load_ensemble(tmp_path, 2)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", lambda content: content["data"].update(resize_px=[32, 32]), "photos of one size"),
        ("label_space.json", lambda content: content["names"].reverse(), "the same classes apart"),
    ],
)
def test_trials_that_cannot_vote_on_the_same_pixels_are_refused(run, file, change, message):
    trial, pointer = run.ranked()[1]
    folder = trial.folder.child(pointer.checkpoint)
    before, content = folder.read_json(file), folder.read_json(file)
    change(content)
    folder.write_json(file, content)
    try:
        with pytest.raises(ConfigError, match=f"the models of an ensemble must .*{message}"):
            load_ensemble(run.folder.path, 2)
    finally:
        folder.write_json(file, before)


def test_the_options_of_commands_open_an_ensemble(run):
    assert len(choose_model(run.folder.path, device="cpu", ensemble=2).load().models) == 2
    assert len(choose_model(run.folder.path, trial="0001", device="cpu").load().models) == 1
    with pytest.raises(ConfigError, match="leave --trial out, but got '0001'"):
        choose_model(run.folder.path, trial="0001", ensemble=2)
