"""``segray confirm``: the start that it makes of an ended sweep and its options."""

import sys

import fake_sweep
import pytest

from segray.cli import main
from segray.records import Outcome
from segray.tuning import command
from segray.tuning.sweep import check_values


def write_trial(sweep, trial_id, miou, status="finished", **values):
    trial = fake_sweep.write_trial(sweep, trial_id, values, [miou], status=None)
    trial.write_pointer("best", trial.pointer("last"))
    trial.finish(Outcome(status=status))


@pytest.fixture
def sweep(tmp_path):
    return fake_sweep.empty_sweep(tmp_path / "runs", seed=7)


@pytest.fixture
def confirm(monkeypatch, tmp_path, capsys):
    """Call ``segray confirm``; returns the sweep that would run, or what was printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        asked = []
        monkeypatch.setattr(command, "run_and_exit", asked.append)
        monkeypatch.setattr(sys, "argv", ["segray", "confirm", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == (0 if asked else 2)
        return asked[0] if asked else capsys.readouterr().err

    return call


def test_the_record_gives_base_objective_and_contestants(sweep, confirm):
    write_trial(sweep, "0000", 0.3, **{"train.epochs": 5})
    write_trial(sweep, "0001", 0.4, **{"train.epochs": 7, "optim.lr": 0.02})
    write_trial(sweep, "0002", 0.35, **{"train.epochs": 9})
    asked = confirm("runs/camvid", "--top", "2", "--seeds", "4", "--workers-per-trial", "2", "--data", "elsewhere")
    check_values(asked)
    assert (asked.storage, asked.name, asked.resume, asked.trials) == ("runs", "camvid", True, 20)
    assert (asked.confirm, asked.num_seeds, asked.resources.workers_per_trial) == (2, 4, 2)
    assert asked.base.flat() == sweep.info.base | {"data.root": "elsewhere"}
    assert (asked.objectives, asked.seed) == ((sweep.info.objective,), 7)
    values = [{key: trial[key] for key in trial if key != "seed"} for trial in asked.contestants]
    assert values == [{"train.epochs": 7, "optim.lr": 0.02}, {"train.epochs": 9}, {"train.epochs": 7}]


@pytest.mark.parametrize("status", ["stopped", "diverged"])
def test_a_sweep_without_a_finished_trial_has_nothing_to_confirm(sweep, confirm, status):
    write_trial(sweep, "0000", 0.3, status=status)
    said = confirm("runs/camvid")
    assert "segray confirm races finished trials, but no trial of" in said
    assert "has finished; continue the sweep with --resume" in said
