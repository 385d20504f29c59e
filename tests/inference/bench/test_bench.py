"""The benchmark's figures: right by hand for known calls, and sane for a real model."""

import json
import time

import pytest
import torch
from every_model import UNET_CONFIGS
from model_run import write_run
from typer.testing import CliRunner

from segray.cli import app
from segray.engine.timing import time_in_turns
from segray.errors import ConfigError
from segray.models import SegmentationModel, build_model
from segray.models.model_size import flops_per_photo, model_size


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    write_run(root, UNET_CONFIGS[0])
    return root / "street"


def command(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_each_call_has_its_own_time_and_the_device_is_waited_for():
    waits = []
    calls = {"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.02)}
    found = time_in_turns(calls, rounds=3, seconds=0.05, warmup_seconds=0, synchronise=lambda: waits.append(1))
    assert 0.002 <= found["short"].median_seconds < 0.02 <= found["long"].median_seconds
    assert all(timing.median_seconds <= timing.p95_seconds for timing in found.values())
    assert len(waits) > sum(timing.num_calls for timing in found.values())


def test_backends_take_turns():
    turns = []
    calls = {name: lambda name=name: turns.append(name) for name in "ab"}
    time_in_turns(calls, rounds=4, seconds=0, warmup_seconds=0)
    changes = [name for name, before in zip(turns[1:], turns, strict=False) if name != before]
    assert len(changes) >= 4


def test_the_size_and_the_operations_of_a_convolution():
    model = SegmentationModel(torch.nn.Conv2d(3, 4, 3, padding=1, bias=True), stride=1).eval()
    size = model_size(model)
    assert size.num_parameters == 3 * 4 * 9 + 4
    assert size.num_bytes == 4 * (size.num_parameters + 6)
    assert flops_per_photo(model, (5, 7)) == 2 * (5 * 7) * (3 * 4 * 9)


def test_padding_counts_in_the_operations():
    model = build_model(UNET_CONFIGS[0], 2).eval()
    assert flops_per_photo(model, (29, 30)) == flops_per_photo(model, (32, 32))


def test_a_model_is_measured_by_size_and_batch(run):
    options = ["--backend", "eager", "--rounds", 1, "--threads", 1, "--json"]
    ended = command(run, "--size", "16x24,32x24", "--batch", "1,2", *options)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    rows = found["measurements"]
    assert [(row["size_px"], row["batch_size"]) for row in rows] == [
        ([16, 24], 1),
        ([16, 24], 2),
        ([32, 24], 1),
        ([32, 24], 2),
    ]
    assert rows[2]["flops_per_photo"] == 2 * rows[0]["flops_per_photo"]
    for row in rows:
        timing = row["timing"]
        assert 0 < timing["median_seconds"] <= timing["p95_seconds"] < 10
        assert row["photos_per_second"] == pytest.approx(row["batch_size"] / timing["median_seconds"])
        assert row["peak_memory_bytes"] is None or row["peak_memory_bytes"] > 1e7
    assert (found["cpu_threads"], found["device"], found["precision"]) == (1, "cpu", "float32")


def test_the_table_shows_what_ran_and_says_why_something_did_not(run, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    ended = command(run, "--size", "16x24", "--backend", "onnx,compiled", "--rounds", "1")
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    assert "2 CPU threads" in lines[0] or "CPU threads" in lines[0]
    assert lines[2].split()[:3] == ["16x24", "1", "onnx"]
    assert lines[3].split()[3:] == ["–"] * 5
    assert "compiled was left out: torch.compile needs a C++ compiler" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch", "0"], "--batch must list whole numbers from 1"),
        (["--batch", "two"], "--batch must list whole numbers from 1"),
        (["--backend", "tensorrt"], "unknown --backend 'tensorrt'"),
        (["--size", "0x4"], "--size must be HEIGHTxWIDTH"),
    ],
)
def test_options_that_cannot_work(run, arguments, words):
    with pytest.raises(ConfigError, match=words):
        raise command(run, *arguments).exception


def test_no_backend_that_runs_is_no_error():
    assert time_in_turns({}, rounds=2) == {}
