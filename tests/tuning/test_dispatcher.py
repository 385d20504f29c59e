"""How callbacks are given, and that none of them can harm a sweep."""

import subprocess
import sys
import time
from dataclasses import replace

import fake_sweep
import pytest
from pyarrow import fs

from segray.config import RunConfig
from segray.errors import ConfigError
from segray.folder import Folder
from segray.records import Outcome
from segray.storage import SweepFiles, open_sweep
from segray.tuning import command
from segray.tuning.callbacks import CALLBACKS, Callback, make_callbacks
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.run.start import run_sweep
from segray.tuning.sweep import Sweep, check_values

SWEEP = Sweep(name="s", base=RunConfig().with_values({"data.root": "d"}), space=lambda trial: None, trials=1)


class Heard(Callback):
    """Keeps what it hears; raises or waits where it should."""

    def __init__(self, failing=(), seconds=0.0):
        self.events, self.failing, self.seconds = [], set(failing), seconds

    def hear(self, *event):
        self.events.append(event)
        time.sleep(self.seconds)
        if event[0] in self.failing:
            raise ConnectionError(f"https://me:secret@host refuses {event[0]}\nand more")

    def sweep_begins(self, info, files):
        self.hear("sweep_begins", info.name)

    def trial_begins(self, trial_id, config, values):
        self.hear("trial_begins", trial_id, config, values)

    def epoch_done(self, trial_id, record):
        self.hear("epoch_done", trial_id, record.epoch)

    def trial_ended(self, trial_id, outcome):
        self.hear("trial_ended", trial_id, outcome.status)

    def sweep_ends(self, status):
        self.hear("sweep_ends", status)


EVENTS = [
    ("sweep_begins", "camvid"),
    ("trial_begins", "0000", {"optim.lr": 0.1, "seed": 0}, {"optim.lr": 0.1}),
    ("epoch_done", "0000", 1),
    ("epoch_done", "0000", 2),
    ("trial_ended", "0000", "finished"),
    ("sweep_ends", "finished"),
]


def send_events(dispatcher, sweep):
    dispatcher.sweep_begins(sweep.info, sweep.files)
    dispatcher.trial_begins("0000", {"optim.lr": 0.1, "seed": 0}, {"optim.lr": 0.1})
    dispatcher.epoch_done("0000", fake_sweep.record(1))
    dispatcher.epoch_done("0000", fake_sweep.record(2))
    dispatcher.trial_ended("0000", Outcome(status="finished", epochs=2))
    dispatcher.sweep_ends("finished")


def test_every_callback_hears_every_event_in_order(sweep):
    said, first, second = [], Heard(), Heard()
    send_events(Dispatcher({"first": first, "second": second}, said.append), sweep)
    assert first.events == second.events == EVENTS
    assert said == []


@pytest.mark.parametrize("method", [event[0] for event in EVENTS[1:]])
def test_a_callback_that_raises_hears_all_the_same_and_says_so_once_without_secrets(sweep, method):
    said, heard = [], Heard(failing=[method])
    send_events(Dispatcher({"mlflow": heard}, said.append), sweep)
    assert heard.events == EVENTS
    number = sum(event[0] == method for event in EVENTS)
    first = "callback mlflow failed, and the sweep goes on without it: ConnectionError: https://***@host refuses "
    assert said[0] == first + method
    assert said[1:] == [f"callback mlflow failed {number} times, and lacks what it could not record"] * (number > 1)


def test_a_callback_that_could_not_begin_begins_before_the_next_event(sweep):
    said, heard = [], Heard(failing=["sweep_begins"])
    dispatcher = Dispatcher({"mlflow": heard}, said.append)
    dispatcher.sweep_begins(sweep.info, sweep.files)
    dispatcher.epoch_done("0000", fake_sweep.record(1))
    while len(heard.events) < 2:
        time.sleep(0.01)
    heard.failing.clear()
    dispatcher.sweep_ends("interrupted")
    assert [event[0] for event in heard.events] == [*["sweep_begins"] * 3, "sweep_ends"]
    assert said[-1] == "callback mlflow failed 2 times, and lacks what it could not record"


def test_a_callback_that_hangs_holds_up_neither_the_sweep_nor_another_callback(sweep):
    said, heard = [], Heard()
    started = time.monotonic()
    send_events(Dispatcher({"slow": Heard(seconds=3600), "quick": heard}, said.append, end_seconds=0.5), sweep)
    assert time.monotonic() - started < 5
    assert heard.events == EVENTS
    assert said == ["callback slow is not done in time, and is left behind: it may lack the last epochs"]


def test_a_library_that_calls_sys_exit_ends_nothing(sweep):
    class Exits(Callback):
        def epoch_done(self, trial_id, record):
            sys.exit("no licence")

    said = []
    send_events(Dispatcher({"exits": Exits()}, said.append), sweep)
    assert said[0].endswith("SystemExit: no licence")


def test_names_and_objects_make_callbacks_and_anything_else_is_refused_before_the_start():
    own = Heard()
    made = make_callbacks(["gauges", own, "gauges", Heard()])
    assert list(made) == ["gauges", "Heard", "Heard 2"]
    assert made["Heard"] is own
    assert SWEEP.callbacks == ("gauges",)
    with pytest.raises(ConfigError, match="unknown --callback 'tensorbord'; did you mean 'tensorboard'"):
        check_values(replace(SWEEP, callbacks=["tensorbord"]))
    with pytest.raises(ConfigError, match=r"callbacks must be names \(gauges, .*\) or objects .* but got 7"):
        check_values(replace(SWEEP, callbacks=[7]))


def test_the_command_line_adds_callbacks_to_those_of_the_study(monkeypatch):
    asked, own = [], Heard()
    monkeypatch.setattr(command, "run_and_exit", lambda sweep, before: asked.append(sweep))
    for arguments in ([], ["--callback", "tensorboard", "--callback", "mlflow"]):
        monkeypatch.setattr(sys, "argv", ["study.py", *arguments])
        with pytest.raises(SystemExit):
            command.main(replace(SWEEP, callbacks=["gauges", own]), make_data=lambda: None)
    assert [sweep.callbacks for sweep in asked] == [("gauges", own), ("gauges", own, "tensorboard", "mlflow")]


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_an_error_before_the_start_with_the_command(name, tmp_path, monkeypatch):
    monkeypatch.setattr("segray.tuning.callbacks.kind.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=rf"--callback {name} needs {name}, .* pip install 'segray\[{name}\]'$"):
        run_sweep(replace(SWEEP, storage=str(tmp_path), callbacks=[name]))
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_needs_a_local_path():
    store = SweepFiles(Folder(fs._MockFileSystem(), "bucket/runs/s"))
    with pytest.raises(ConfigError, match=r"tensorboard .* --storage must be a local path, .* 'bucket/runs/s'"):
        CALLBACKS["tensorboard"]().check(store)
    CALLBACKS["tensorboard"]().check(open_sweep("runs/s"))


@pytest.mark.parametrize(("mode", "code"), [("online", 1), ("offline", 0)])
def test_wandb_needs_a_login_unless_it_is_offline(mode, code, tmp_path):
    check = "CALLBACKS['wandb']().check(open_sweep('runs/s'))"
    imports = "from segray.storage import open_sweep; from segray.tuning.callbacks import CALLBACKS"
    ended = subprocess.run(
        [sys.executable, "-c", f"{imports}; {check}"],
        env={"HOME": str(tmp_path), "WANDB_MODE": mode, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    fix = "--callback wandb needs a login, but there is none: run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE"
    assert (fix in ended.stderr) == (mode == "online")


def test_a_sweep_is_declared_without_ray_torch_or_a_trackers_library():
    heavy = ("ray", "torch", "tensorboardX", "mlflow", "wandb")
    code = f"import sys, segray.tuning.sweep; sys.exit(', '.join(name for name in {heavy} if name in sys.modules) or 0)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
