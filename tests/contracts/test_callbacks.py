"""Every callback of CALLBACKS takes the events of whole sweeps, and what it wrote is read with its own library."""

import json
import struct
from pathlib import Path

import fake_sweep
import pytest

from segray.objective import MIOU
from segray.records import Outcome
from segray.tuning.callbacks import CALLBACKS, Callback
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.callbacks.metrics import epoch_metrics

REPEAT = "0000-seed1-epochs1"
CONFIG = {f"section.key{number}": number for number in range(120)} | {"data.resize_px": [64, 96], "seed": 0}
"""More keys than MLflow takes in one request."""
VALUES = {"model.arch": "Unet", "optim.lr": 0.01, "data.crop_px": [32, 48], "train.deterministic": True}
CLASSES = list(fake_sweep.CLASSES)


def record(epoch, miou):
    """An epoch in which nothing of the last class could be computed, nor any accuracy."""
    made = fake_sweep.record(epoch, miou)
    unknown = {"val_pixel_accuracy": None, f"val_iou/{CLASSES[-1]}": None}
    return made.model_copy(update={"scores": made.scores | unknown})


def begin(events, trial_id, values=VALUES):
    events.trial_begins(trial_id, CONFIG | values, values)


def send_sweep(name, sweep):
    """Two starts of a sweep: a trial that a resume continues, a failed one, one handed out again, and a repeat."""
    said = []
    events = Dispatcher({name: CALLBACKS[name]()}, said.append)
    events.sweep_begins(sweep.info, sweep.files)
    begin(events, "0000")
    events.epoch_done("0000", record(1, 0.25))
    begin(events, "0001", {"model.arch": "FPN"})
    events.trial_ended("0001", Outcome(status="failed", reason="it does not fit", traceback="..."))
    begin(events, "0002", {})
    begin(events, "0002", {})
    events.epoch_done("0002", record(1, None))
    events.trial_ended("0002", Outcome(status="diverged", reason="the loss was NaN", epochs=1))
    events.sweep_ends("interrupted")

    events = Dispatcher({name: CALLBACKS[name]()}, said.append)
    events.sweep_begins(sweep.info, sweep.files)
    # A resume may move the data.
    events.trial_begins("0000", CONFIG | VALUES | {"section.key7": "moved"}, VALUES)
    events.epoch_done("0000", record(2, 0.5))
    events.trial_ended("0000", Outcome(status="stopped", reason="too low", epochs=2, best_score=0.5, best_epoch=2))
    begin(events, REPEAT, {"seed": 1})
    events.epoch_done(REPEAT, record(1, 0.375))
    events.trial_ended(REPEAT, Outcome(status="finished", epochs=1, best_score=0.375, best_epoch=1))
    events.sweep_ends("finished")
    assert said == []


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A sweep with sample images and the predictions of trial 0000."""
    monkeypatch.chdir(tmp_path)
    sweep = fake_sweep.empty_sweep(tmp_path / "runs")
    fake_sweep.write_trial(sweep, "0000", {}, [0.25, 0.5])
    fake_sweep.write_samples(sweep, ["0000"])
    return sweep


def read_gauges(sweep, monkeypatch):
    """The last value of each gauge by name and trial."""
    shown = {}

    class Gauge:
        def __init__(self, name, description, tag_keys):
            assert tag_keys == ("sweep", "trial")
            self.name = name

        def set(self, value, tags):
            assert tags["sweep"] == "camvid"
            shown[self.name, tags["trial"]] = value

    monkeypatch.setattr("ray.util.metrics.Gauge", Gauge)
    send_sweep("gauges", sweep)
    return shown


def test_gauges(sweep, monkeypatch):
    shown = read_gauges(sweep, monkeypatch)
    assert {name for name, _ in shown} == {
        "segray_val_miou",
        "segray_best_score",
        "segray_train_loss",
        "segray_images_per_second",
        "segray_epoch",
    }
    assert (shown["segray_val_miou", "0000"], shown["segray_epoch", "0000"]) == (0.5, 2)
    assert shown["segray_val_miou", REPEAT] == 0.375
    assert ("segray_val_miou", "0002") not in shown


def read_events(folder):
    """All events of a folder's event files, in TensorBoard's order of the files."""
    from tensorboardX.proto.event_pb2 import Event

    events = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            [length] = struct.unpack_from("<Q", content, place)
            events.append(Event.FromString(content[place + 12 : place + 12 + length]))
            place += 12 + length + 4
    return events


def plugin_data(value):
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    return HParamsPluginData.FromString(value.metadata.plugin_data.content)


def test_tensorboard(sweep):
    send_sweep("tensorboard", sweep)
    root = Path(sweep.files.folder.path, "tensorboard")
    assert {path.name for path in root.iterdir() if path.is_dir()} == {"0000", "0001", "0002", REPEAT}

    scalars, others = {}, {}
    for event in read_events(root / "0000"):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars.setdefault(value.tag, []).append((event.step, pytest.approx(value.simple_value, rel=1e-6)))
            else:
                others.setdefault(value.tag, []).append((event.step, value))
    first, second = (epoch_metrics(record(epoch, miou), MIOU) for epoch, miou in ((1, 0.25), (2, 0.5)))
    assert len(scalars) == len(first)
    assert scalars["val/miou"] == [(1, 0.25), (2, 0.5)]
    assert scalars["train/loss"] == [(1, first["train_loss"]), (2, second["train_loss"])]
    assert scalars["val_iou/sky"] == [(1, 0.25), (2, 0.5)]
    assert "val_iou/bicyclist" not in scalars
    assert "val/pixel_accuracy" not in scalars

    starts = [plugin_data(value).session_start_info for _, value in others["_hparams_/session_start_info"]]
    assert len(starts) == 2
    drawn = {key: value.WhichOneof("kind") for key, value in starts[0].hparams.items()}
    assert drawn == {
        "model.arch": "string_value",
        "optim.lr": "number_value",
        "data.crop_px": "string_value",
        "train.deterministic": "bool_value",
    }
    assert others["config/text_summary"][0][1].tensor.string_val[0].decode().splitlines()[0] == "    section.key0: 0"
    [(step, ended)] = others["_hparams_/session_end_info"]
    assert (step, plugin_data(ended).session_end_info.status) == (2, 1)
    assert [value.tensor.string_val[0] for _, value in others["outcome/text_summary"]] == [b"stopped: too low"]
    for tag in ("samples/0016E5_08001", "samples/Seq05VD_f02550"):
        [(step, value)] = others[tag]
        assert (step, value.image.width, value.image.height) == (2, 3 * fake_sweep.WIDTH_PX, fake_sweep.HEIGHT_PX)

    [failed] = [
        plugin_data(value).session_end_info.status
        for event in read_events(root / "0001")
        for value in event.summary.value
        if value.tag == "_hparams_/session_end_info"
    ]
    assert failed == 2
    experiments = [plugin_data(value).experiment for event in read_events(root) for value in event.summary.value]
    types = {info.name: info.type for info in experiments[-1].hparam_infos}
    assert types.keys() == sweep.info.space.keys()
    assert (types["model.arch"], types["optim.lr"], types["train.epochs"]) == (0, 3, 3)
    assert experiments[-1].metric_infos[0].name.tag in scalars


@pytest.mark.filterwarnings("ignore")
def test_mlflow(sweep, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/store")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "1")
    # Another sweep of the same name, which must not mix with this one.
    older = fake_sweep.empty_sweep(tmp_path / "older", created_at="2025-01-01T00:00:00+00:00")
    events = Dispatcher({"mlflow": CALLBACKS["mlflow"]()}, pytest.fail)
    events.sweep_begins(older.info, older.files)
    begin(events, "0000")
    events.sweep_ends("interrupted")
    send_sweep("mlflow", sweep)

    client = MlflowClient()
    experiment = client.get_experiment_by_name("camvid").experiment_id
    found = client.search_runs([experiment], f"tags.`segray.created_at` = '{sweep.info.created_at}'")
    runs = {run.info.run_name: run for run in found}
    assert len(found) == 5
    assert {name: run.info.status for name, run in runs.items()} == {
        "camvid": "FINISHED",
        "0000": "FINISHED",
        "0001": "FAILED",
        "0002": "FAILED",
        REPEAT: "FINISHED",
    }
    first, parent = runs["0000"], runs["camvid"]
    assert {run.data.tags["mlflow.parentRunId"] for run in found if run is not parent} == {parent.info.run_id}
    assert first.data.params == {key: str(value) for key, value in (CONFIG | VALUES).items()}
    assert first.data.tags["segray.drawn"] == "model.arch, optim.lr, data.crop_px, train.deterministic"
    assert (first.data.tags["segray.outcome"], first.data.tags["segray.reason"]) == ("stopped", "too low")
    history = client.get_metric_history(first.info.run_id, "val_miou")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.25), (2, 0.5)]
    assert first.data.metrics == pytest.approx(epoch_metrics(record(2, 0.5), MIOU))
    assert "val_miou" not in runs["0002"].data.metrics
    assert parent.data.params["sampler"] == "tpe"
    [artifact] = client.list_artifacts(parent.info.run_id)
    assert (artifact.path, artifact.file_size > 100_000) == ("report.html", True)


def read_wandb(path):
    """The records of a .wandb file: LevelDB's log format, in blocks of 32 KiB, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts, records = path.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            records.append(Record.FromString(parts))
            parts = b""
    return records


def items(found):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in found}


@pytest.mark.filterwarnings("ignore")
def test_wandb(sweep, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DIR", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    send_sweep("wandb", sweep)

    files = sorted(Path(sweep.files.folder.path, "wandb").glob("offline-run-*/run-*.wandb"))
    found = [read_wandb(path) for path in files]
    runs = [next(record.run for record in records if record.HasField("run")) for records in found]
    assert sorted(run.display_name for run in runs) == ["0000", "0000", REPEAT, "0001", "0002"]
    assert {(run.project, run.run_group) for run in runs} == {("camvid", "camvid")}
    assert len({run.run_id for run in runs}) == 4, "a resumed trial has the id of its run"

    steps, summary = [], {}
    for run, records in zip(runs, found, strict=True):
        if run.display_name == "0000":
            config = {item.key: json.loads(item.value_json) for item in run.config.update}
            assert config["optim.lr"] == 0.01
            histories = [items(record.history.item) for record in records if record.HasField("history")]
            steps += [(history["epoch"], history["val_miou"]) for history in histories]
            for entry in records:
                summary |= items(entry.summary.update) if entry.HasField("summary") else {}
    assert sorted(steps) == [(1, 0.25), (2, 0.5)]
    assert (summary["outcome"], summary["reason"], summary["best_val_miou"]) == ("stopped", "too low", 0.5)
    codes = {
        run.display_name: entry.exit.exit_code
        for run, records in zip(runs, found, strict=True)
        for entry in records
        if entry.HasField("exit")
    }
    assert (codes["0001"], codes[REPEAT]) == (1, 0)


def test_every_callback_has_a_test_here_and_says_what_it_is():
    assert {f"test_{name}" for name in CALLBACKS} <= set(globals())
    assert all(issubclass(kind, Callback) and kind.__doc__ for kind in CALLBACKS.values())
