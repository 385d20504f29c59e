"""A start lists the folders of its data set once, however many of its steps ask for the files."""

import os
from collections import Counter
from pathlib import Path

import pytest

from segray.config import RunConfig
from segray.data.datasets import DATASETS
from segray.data.datasets.root import listing_folders_once
from segray.data.preparation import prepare, with_absolute_paths
from segray.data.splits.split_record import check_splits, record_splits
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.tuning.preflight import check
from segray.tuning.sweep import Sweep
from segray.tuning.train_start import Start
from segray.tuning.training_run import check_data


@pytest.fixture
def listed(monkeypatch):
    """How often each folder was listed, by os.listdir (which Path.iterdir calls) or os.scandir."""
    counts = Counter()
    for name in ("listdir", "scandir"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path=".", real=real: counts.update([path]) or real(path))
    return counts


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("data.policy", ["light", "strong"])


def num_clusters(trial):
    trial.suggest_categorical("data.pairs.num_clusters", [4, 6, 8])


@pytest.mark.parametrize(
    ("dataset", "space", "values"),
    [
        *((name, space, {}) for name in DATASETS),
        ("cityscapes_pairs", num_clusters, {"data.pairs.labels": "kmeans"}),
    ],
)
def test_a_start_lists_every_folder_of_its_data_once(dataset, space, values, tmp_path, monkeypatch, listed):
    write_scenes(dataset, tmp_path / "data", train=8, val=4, size_px=(64, 96))
    monkeypatch.chdir(tmp_path)
    listed.clear()
    base = RunConfig().with_values(
        {
            "data.dataset": dataset,
            "data.root": "data",
            "data.cache_dir": "cache",
            "data.resize_px": (64, 96),
            "model.encoder": "tu-test_resnet",
            "model.encoder_weights": "none",
            "train.batch_size": 2,
            **NEEDED_VALUES.get(dataset, {}),
            **values,
        }
    )
    # The steps of a start, in their order: `segray train`, preflight, the record of splits, a resume and a trial.
    sweep = Sweep(name="run", space=space, base=base)
    # A study that searches clusters is no `segray train`, which opens its data before the sweep.
    if not values:
        check_data(Start(config=base, stem="run"), sweep, announce=[].append)
    with listing_folders_once():
        checked = check(sweep, num_workers=1, announce=[].append)
        check_splits(record_splits(checked.base.data), with_absolute_paths(base.data))
    prepare(checked.base.data, [].append)
    paths = Counter(Path(path).absolute() for path in listed.elements() if not isinstance(path, int))
    counts = {path: count for path, count in paths.items() if path.is_relative_to(tmp_path / "data")}
    assert counts
    assert {str(path): count for path, count in counts.items() if count != 1} == {}
