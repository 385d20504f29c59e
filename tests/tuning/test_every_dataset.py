"""Every registered data set trains in a sweep, on drawn scenes in its own layout."""

import subprocess
import sys
from pathlib import Path

import pytest
from every_dataset import VARIANTS

from segray.storage import open_sweep

# Nine sweeps of some 10 s each on two idle cores.
pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every")
    script = Path(__file__).with_name("every_dataset.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=1700)
    return folder / "runs"


@pytest.mark.parametrize("name", VARIANTS)
def test_two_trials_finish_and_score(runs, name):
    sweep = open_sweep(runs / name)
    outcomes = [trial.outcome() for trial in sweep.trials()]
    assert [outcome.status for outcome in outcomes] == ["finished", "finished"]
    assert all(0 <= outcome.best_val_miou <= 1 for outcome in outcomes)
    records = [record for trial in sweep.trials() for record in trial.records()]
    assert {len(record.val_iou) for record in records} == {len(sweep.info().classes)}
    assert all((record.val_cluster_accuracy is not None) == (name == "clusters") for record in records)
    assert (sweep.test_scores() is not None) == bool(sweep.splits().test)
