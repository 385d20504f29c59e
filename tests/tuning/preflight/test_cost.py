"""The cost of a sweep by measured steps: all numbers here are worked out by hand."""

import json
import sys
from pathlib import Path

import pytest
import torch

from segray.cli import main
from segray.cli.cost_table import print_cost
from segray.cluster.limits import Limits
from segray.cluster.resources import HELPERS_BYTES
from segray.config import RunConfig
from segray.engine.footprint import footprint
from segray.engine.probe import Probe
from segray.errors import ConfigError
from segray.tuning.preflight import cost as cost_module
from segray.tuning.preflight import timing
from segray.tuning.preflight.cost import estimate_cost
from segray.tuning.sweep import Sweep

STUDY = Path(__file__).parents[1] / "tiny_study.py"

MEASURED = Probe(
    num_parameters=1000,
    batch_size=4,
    micro_batches=1,
    load_seconds=0.4,
    step_seconds=1.6,
    val_image_seconds=0.5,
    start_seconds=3.0,
    save_seconds=2.0,
    model_bytes=100,
    training_bytes=200,
    peak_bytes=1_000_000_000,
)
"""On 8 training and 4 validation images an epoch takes 8 / 4 * (0.4 + 1.6) + 4 * 0.5 + 2 = 8 s"""


@pytest.fixture(autouse=True)
def _measured(monkeypatch):
    """A machine of two CPUs, on which every model is measured as above."""
    monkeypatch.setattr(cost_module, "this_machine", lambda: {"CPU": 2.0, "memory": 8e9})
    monkeypatch.setattr(timing, "probe", lambda config, data, device, num_workers: MEASURED)


@pytest.fixture
def estimate(scenes, tmp_path):
    def run(space, max_models=8, **fields):
        values = {
            "data.root": str(scenes),
            "data.cache_dir": str(tmp_path / "cache"),
            "model.encoder": "tu-test_resnet",
            "model.encoder_weights": "none",
            "train.batch_size": 4,
        }
        fields = {"trials": 4, "epochs": 2, "scheduler": "none", "storage": str(tmp_path), **fields}
        sweep = Sweep(name="s", base=RunConfig().with_values(values), space=space, **fields)
        return estimate_cost(sweep, num_nodes=1, max_models=max_models, announce=lambda line: None)

    return run


def rates(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)


def test_time_and_disk_of_trials_that_all_run_to_their_ends(estimate, capsys):
    cost = estimate(rates, repeats=1)
    assert cost.plan.slots == 2
    assert cost.trial_seconds == (19, 19, 19)
    assert (cost.epochs, cost.worker_seconds, cost.seconds) == (12, 6 * 19, 3 * 19)
    # Running trials have a best and a last checkpoint, and write a third; others keep a model.
    assert (cost.disk_bytes, cost.most_disk_bytes) == (600, 6 * 300 + 4 * 100)
    assert (cost.most_left_out, cost.warnings) == (0, ())
    assert [(model.name, model.draws) for model in cost.timings.models] == [("Unet tu-test_resnet", 200)]
    print_cost(cost)
    printed = capsys.readouterr().out.replace("\u00a0", " ")
    assert "Unet tu-test_resnet  100.0 %" in printed
    assert "4 and 2 repeats: 12 epochs; a whole trial takes 19 s" in printed
    assert "0.032 CPU-hours" in printed


def test_paused_trials_keep_their_checkpoints_and_time_that_is_short_is_said(estimate):
    cost = estimate(rates, scheduler="freeze_thaw", minutes=0.4, limits=Limits(trial_minutes=0.3))
    # Each trial but the baseline trains one of two epochs at least; two slots end one trial each in 24 s.
    assert (cost.trials, cost.whole_trials_in_time, cost.most_left_out) == (2, 2, 0.25)
    # If trials are paused early, all four may begin.
    assert cost.most_disk_bytes == 4 * 2 * 300 + 2 * 300
    assert cost.warnings == (
        "--minutes 0.4 is enough for about 2 of 4 whole trials",
        "--trial-timeout 0.3 ends trials before their last epoch: they take 19\u00a0s to 19\u00a0s",
    )


def test_time_and_memory_grow_with_epochs_crop_and_batch_but_only_measured_models_count(estimate):
    def space(trial):
        trial.suggest_categorical("model.encoder", ["tu-test_resnet", "tu-test_resnet", "resnet18"])
        trial.suggest_categorical("train.batch_size", [4, 8])
        return {"data.crop_px": [64, 64 * trial.suggest_categorical("train.epochs", [1, 2])]}

    first = {"model.encoder": "tu-test_resnet", "train.epochs": 2, "train.batch_size": 4}
    cost = estimate(space, max_models=1, first_trials=[first])
    assert cost.timings.num_models == 2
    [model] = cost.timings.models
    assert (model.name, model.config.data.crop_px) == ("tu-test_resnet", (64, 128))
    # A batch of eight keeps as much again for the backward pass as the measured one of four.
    image = footprint(model.config, 19, (64, 128), torch.float32).image
    assert cost.slot_bytes == HELPERS_BYTES + 1_000_000_000 + 4 * image
    # One epoch on half the pixels, and two epochs as measured.
    assert cost.trial_seconds[0] == 3 + (2 + 2 + 2)
    assert cost.trial_seconds[2] == 3 + 2 * 8


def test_a_resume_has_no_estimate(estimate):
    with pytest.raises(ConfigError, match="leave --resume out"):
        estimate(rates, resume=True)


def test_the_command_takes_the_options_of_the_study(scenes, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEGRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    options = ["--data", str(scenes), "--trials", "3", "--scheduler", "none", "--models", "1", "--json", "--epochs=2"]
    monkeypatch.setattr(sys, "argv", ["segray", "preflight", str(STUDY), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["trials"], found["epochs"], found["seconds"]) == (3, 6, 3 * 19 / 2)
    assert found["models"][0]["num_parameters"] == 1000
    assert not (tmp_path / "runs").exists()
