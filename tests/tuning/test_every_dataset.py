"""Every registered data set trains, on drawn scenes in its own layout."""

import subprocess
import sys
from pathlib import Path

import pytest
from every_sweep import VARIANTS, of_dataset, train_here

from segray.storage import open_sweep


@pytest.mark.parametrize("name", VARIANTS)
def test_it_trains_and_scores(tmp_path, name):
    checked, files = train_here(of_dataset(name, tmp_path))
    assert_scored(files, checked.data.scored_space.num_classes, has_clusters=name == "clusters")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every")
    script = Path(__file__).with_name("every_sweep.py")
    subprocess.run([sys.executable, str(script), str(folder), "datasets"], check=True, timeout=1700)
    return folder / "runs"


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_sweep_of_it_finishes_and_judges_its_best_trial(runs, name):
    sweep = open_sweep(runs / name)
    outcomes = [trial.outcome() for trial in sweep.trials()]
    assert [outcome.status for outcome in outcomes] == ["finished", "finished"]
    assert_scored(sweep, len(sweep.info().classes), has_clusters=name == "clusters")
    assert (sweep.test_scores() is not None) == bool(sweep.splits().test)


def assert_scored(sweep, num_classes, *, has_clusters):
    records = [record for trial in sweep.trials() for record in trial.records()]
    assert records
    assert all(0 <= record.scores["val_miou"] <= 1 for record in records)
    assert {sum(name.startswith("val_iou/") for name in record.scores) for record in records} == {num_classes}
    assert all(("val_cluster_accuracy" in record.scores) == has_clusters for record in records)
