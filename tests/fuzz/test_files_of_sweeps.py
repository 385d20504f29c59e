"""Randomly damaged files of sweeps and checkpoints give a right value or a SegrayError."""

import contextlib
from pathlib import Path

import fake_sweep
import pytest
import torch
from damage import damaged_bytes, damaged_json, fuzzed
from hypothesis import given
from hypothesis import strategies as st

from dashboards.figures import FIGURES, NothingToDrawError
from dashboards.summary import summarise
from segray.cli.results_table import headline, trials_table
from segray.config import RunConfig
from segray.engine import checkpoint
from segray.engine.state import build_state
from segray.errors import SegrayError, StorageError
from segray.folder import open_folder
from segray.labels import LabelSpace
from segray.records import CheckpointPointer
from segray.results import load

SMALL = [
    *("sweep.json", "splits.json", "test.json", "state.json", "trials/0001/config.json", "trials/0001/values.json"),
    *(
        "trials/0001/outcome.json",
        "trials/0001/best.json",
        "trials/0002/last.json",
        "trials/0001-seed1-epochs2/outcome.json",
    ),
    "trials/0001/epochs.jsonl",
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    made = fake_sweep.empty_sweep(tmp_path_factory.mktemp("runs"))
    made.files.write_splits(fake_sweep.splits(num_test=2))
    made.files.write_test_scores(fake_sweep.scores("0001", 2))
    for trial, mious, status in (("0000", [0.2], "finished"), ("0001", [0.3, 0.4], "finished"), ("0002", [0.1], None)):
        fake_sweep.write_trial(made, trial, fake_sweep.FIRST_DRAWN, mious, status=status)
    pointer = CheckpointPointer(checkpoint="checkpoints/2-1", record=fake_sweep.record(2, 0.4), seconds=1.0)
    made.files.trial("0001").write_pointer("best", pointer)
    fake_sweep.write_repeats(made, "0001", [0.41], epochs=2)
    fake_sweep.write_samples(made, ["0001"], stems=("a",))
    return made.files


@contextlib.contextmanager
def damaged(folder, name, data, strategy):
    """Damage a file for the time of the context."""
    path = Path(folder.path, name)
    before = path.read_bytes()
    content = data.draw(strategy(before))
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def json_or_lines(content):
    return damaged_bytes(content) if b"\n{" in content else damaged_json(content)


@pytest.mark.parametrize("name", SMALL)
@fuzzed(3)
@given(data=st.data())
def test_results(sweep, name, data):
    with damaged(sweep.folder, name, data, json_or_lines), contextlib.suppress(SegrayError):
        results = load(sweep.folder.path)
        trials_table(results)
        headline(results)
        summarise(results)
        results.as_json()
        results.as_csv()
        assert name == "sweep.json" or {"0000", "0002"} <= {
            *results.trials["id"],
            name.split("/")[1:2][0] if "/" in name else "",
        }


@fuzzed(3)
@given(data=st.data())
def test_figures(sweep, data):
    name = data.draw(st.sampled_from([*SMALL[4:], "samples/a_photo.png", "samples/a_truth.png"]))
    strategy = damaged_bytes if name.endswith("png") else json_or_lines
    with damaged(sweep.folder, name, data, strategy), contextlib.suppress(SegrayError):
        results = load(sweep.folder.path)
        for figure in FIGURES.values():
            with contextlib.suppress(NothingToDrawError):
                figure.plot(results)


@fuzzed()
@given(data=st.data())
def test_what_a_resume_reads(sweep, data):
    name = data.draw(st.sampled_from([name for name in SMALL if name != "sweep.json"]))
    with damaged(sweep.folder, name, data, json_or_lines):
        for trial in (*sweep.trials(), *sweep.repeats().values()):
            assert trial.pointer("last") is None or trial.pointer("last").checkpoint.startswith("checkpoints/")
            assert all(record.epoch >= 0 for record in trial.records())
            trial.outcome()
            trial.damage()
        sweep.state()
        sweep.test_scores()
        with contextlib.suppress(StorageError):
            sweep.splits()
        with contextlib.suppress(StorageError):
            sweep.best()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    space = LabelSpace(names=("sky", "road"), colors=((0, 0, 255), (128, 64, 128)), raw_to_train={0: 0, 1: 1})
    config = RunConfig().with_values({"model.encoder": "tu-test_resnet", "model.encoder_weights": "none"})
    state = build_state(config, space, steps_per_epoch=1, device=torch.device("cpu"))
    folder = open_folder(tmp_path_factory.mktemp("checkpoint") / "1-1")
    checkpoint.save(state, folder)
    return state, folder


@fuzzed(25)
@given(data=st.data())
def test_models(saved, data):
    _, folder = saved
    name = data.draw(st.sampled_from(["config.json", "label_space.json", "preprocessing.json", "model.safetensors"]))
    strategy = damaged_json if name.endswith("json") else header_damaged
    with damaged(folder, name, data, strategy), contextlib.suppress(SegrayError):
        model, _, label_space = checkpoint.load_checkpoint(folder)
        with torch.inference_mode():
            assert model(torch.zeros(1, 3, 64, 64)).shape[1] == label_space.num_classes


@fuzzed(25)
@given(data=st.data())
def test_training_states(saved, data):
    state, folder = saved
    with damaged(folder, "training.pt", data, header_damaged), contextlib.suppress(SegrayError):
        checkpoint.restore(state, folder)


def header_damaged(content):
    """Damage the structure, which lies at both ends of the file."""
    return damaged_bytes(content[:600]).map(lambda head: head + content[600:]) | damaged_bytes(content[-600:]).map(
        lambda tail: content[:-600] + tail
    )


def test_the_sweep_is_whole_afterwards(sweep):
    assert load(sweep.folder.path).damage == ()
