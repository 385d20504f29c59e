from types import SimpleNamespace

import fake_sweep
import pytest
from fake_sweep import record

from dashboards.report import render_report
from segray.cluster.channel import Message
from segray.config import RunConfig
from segray.results import load
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.run.collapse import collapse_warning
from segray.tuning.run.progress import Progress, View
from segray.tuning.run.repeats import ListSearch
from segray.tuning.run.retries import Retries
from segray.tuning.run.slot import to_result
from segray.tuning.run.supervisor import StateFile, Supervisor


def records(*accuracies):
    return [
        record(epoch, 0.5).model_copy(update={"train_real_accuracy": real, "train_fake_accuracy": fake})
        for epoch, (real, fake) in enumerate(accuracies, start=1)
    ]


REAL, FAKE = "on real label images in epochs 2 to 4", "on the model's in epochs 2 to 4"


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ((1.0, 1.0), f"{REAL} and {FAKE}"),
        ((0.0, 0.001), f"{REAL} and {FAKE}"),
        ((0.999, 0.4), f"stood at 0 or 1 {REAL}: one side"),
        ((0.4, 0.0), f"stood at 0 or 1 {FAKE}: one side"),
    ],
)
def test_three_epochs_at_zero_or_one_are_a_collapse(accuracies, said):
    assert said in collapse_warning(records((0.6, 0.7), *[accuracies] * 3, (0.8, 0.8)))


def test_to_and_fro_between_zero_and_one_is_one_too():
    assert f"{REAL} and {FAKE}" in collapse_warning(records((0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.5)))


@pytest.mark.parametrize(
    "accuracies",
    [
        [],
        [(0.6, 0.7)] * 5,
        [(1.0, 1.0)] * 2,
        [(1.0, 0.8), (1.0, 1.0), (0.9, 1.0), (1.0, 0.9)],
        [(None, None)] * 5,
    ],
)
def test_anything_else_is_none(accuracies):
    assert collapse_warning(records(*accuracies)) == ""


def test_the_longest_one_is_named():
    accuracies = [*[(1.0, 0.5)] * 3, (0.5, 0.5), *[(0.0, 0.5)] * 4]
    assert "in epochs 5 to 8" in collapse_warning(records(*accuracies))


def test_a_collapse_is_in_the_outcome_the_terminal_and_the_report(tmp_path, capsys):
    sweep = fake_sweep.empty_sweep(tmp_path)
    files = fake_sweep.write_trial(sweep, "0000", {}, [0.3, 0.4, 0.4], status=None)
    for collapsed in records(*[(1.0, 0.4)] * 3):
        files.append_record(collapsed)
    progress = Progress(total=1, slots=1, deadline=None)
    state, retries = StateFile(sweep.files, progress), Retries(ListSearch(list), sweep.files)
    callbacks = Dispatcher({}, print)
    view, paused = View(progress), ().__contains__
    supervisor = Supervisor(None, sweep.files, RunConfig(), progress, view, state, retries, paused, "", callbacks)
    trial = SimpleNamespace(config={"trial": "0000", "values": {}})
    supervisor.on_trial_start(trial)
    end = to_result(Message("0000", record=records((1.0, 0.4))[0], status="finished", seconds=9.0))
    supervisor.on_trial_result(trial, end)

    warning = files.outcome().warning
    assert "stood at 0 or 1" in warning
    assert f"({warning})" in capsys.readouterr().out
    results = load(sweep.files.folder.path)
    assert results.trials["reason"].tolist() == [warning]
    assert "stood at 0 or 1" in render_report(results)
