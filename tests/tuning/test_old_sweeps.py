"""Sweeps that the version of revision 170e95b wrote, before tuning was laid out anew.

`tests/old_sweeps/` holds two sweeps of one study. `finished` has four trials and a repeat of two; `interrupted` was cut
by Ctrl-C while trial 0001 was in its second epoch and three of five trials had begun.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards.report import write_report
from segray.results import load
from segray.storage import open_sweep

OLD = Path(__file__).parents[1] / "old_sweeps"


@pytest.fixture
def copies(tmp_path):
    for name in ("finished", "interrupted"):
        shutil.copytree(OLD / name, tmp_path / name)
    return tmp_path


def resume(storage, name, *options):
    """Resume an old sweep with the code of now; returns exit code and output."""
    command = [sys.executable, OLD / "study.py", "--data", OLD / "data", "--storage", storage, "--name", name]
    ended = subprocess.run(
        [*command, "--resume", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "SEGRAY_CACHE": str(storage / "cache")},
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_old_sweeps_are_read_and_reported(copies):
    finished, interrupted = load(copies / "finished"), load(copies / "interrupted")

    assert (finished.state, interrupted.state) == ("finished", "interrupted")
    assert (finished.num_planned, interrupted.num_planned) == (4, 5)
    assert not finished.damage
    assert not interrupted.damage
    assert list(finished.trials["outcome"]) == ["finished", "finished", "stopped", "stopped"]
    assert list(interrupted.trials["outcome"]) == ["finished", "interrupted", "stopped"]
    assert list(finished.trials["epochs"]) == [3, 3, 1, 1]
    assert finished.best_trial()["id"] == "0001"
    assert finished.best_trial()["best_val_miou"] == pytest.approx(0.0021149, abs=1e-7)
    assert list(finished.repeats["trial"]) == ["0000", "0001"]
    assert [searched.key for searched in finished.searched] == list(finished.info.space)
    assert finished.mean_text() == "mean over 10 of 19 classes"
    for results in (finished, interrupted):
        assert write_report(results.files.folder.path, copies / "report.html") > 100_000


@pytest.mark.ray
@pytest.mark.slow
def test_an_old_sweep_that_was_interrupted_goes_on_where_it_was(copies):
    before = {
        name: (copies / f"interrupted/trials/{name}/values.json").read_text() for name in ("0000", "0001", "0002")
    }
    ended = (copies / "interrupted/trials/0000/outcome.json").read_text()

    code, output = resume(copies, "interrupted", "--trials", 5)

    assert code == 0, output
    assert "study.db" not in output, "the old study is taken as it is"
    trials = open_sweep(copies / "interrupted").trials()
    assert [trial.id for trial in trials] == ["0000", "0001", "0002", "0003", "0004"]
    assert all(trial.outcome() for trial in trials)
    assert {name: (copies / f"interrupted/trials/{name}/values.json").read_text() for name in before} == before
    assert (copies / "interrupted/trials/0000/outcome.json").read_text() == ended
    attempts = [(record.epoch, record.attempt) for record in trials[1].records()]
    assert attempts[:2] == [(1, 1), (2, 2)]


@pytest.mark.ray
@pytest.mark.slow
def test_an_old_sweep_that_finished_takes_more_trials(copies):
    assert resume(copies, "finished")[1].startswith("nothing left to do: 4 of 4 trials have ended")

    code, output = resume(copies, "finished", "--trials", 5)

    assert code == 0, output
    trials = open_sweep(copies / "finished").trials()
    assert [trial.id for trial in trials] == ["0000", "0001", "0002", "0003", "0004"]
    assert trials[4].outcome() is not None


@pytest.mark.ray
@pytest.mark.slow
def test_a_resume_of_an_old_sweep_refuses_another_scheduler(copies):
    code, output = resume(copies, "interrupted", "--scheduler", "none")

    assert code == 2
    assert "--scheduler: was 'asha', now 'none'" in output
