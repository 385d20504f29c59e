"""Sweeps of every data set and of every study, shrunk, on drawn scenes in their own layouts.

python every_sweep.py FOLDER datasets|studies    runs them on one cluster
"""

import importlib
import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ray.cluster_utils import Cluster

from segray.config import RunConfig
from segray.data.datasets import DATASETS
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.engine.trial import train_trial
from segray.storage import open_sweep
from segray.trial_log import TrialLog
from segray.tuning.points import Point, draw_point, first_of
from segray.tuning.preflight import check
from segray.tuning.run.history import folder_name
from segray.tuning.run.start import judge_sweep, run_sweep
from segray.tuning.sweep import Sweep

VARIANTS = {
    **{name: {"data.dataset": name} for name in DATASETS},
    "clusters": {"data.dataset": "cityscapes_pairs", "data.pairs.labels": "kmeans", "data.pairs.num_clusters": 5},
}
"""Name of the sweep -> the data set, and what differs from its defaults."""

BASE = RunConfig().with_values(
    {"model.encoder": "tu-test_resnet", "model.encoder_weights": "none", "train.batch_size": 4, "train.epochs": 2}
)

STUDIES = {
    "cityscapes_search": {"data.crop_px": [64, 64]},
    "cityscapes_gan_search": {
        "data.resize_px": [64, 64],
        "model.generator.depth": 4,
        "model.generator.width": 4,
        "gan.width": 4,
        "gan.receptive_field_px": 16,
    },
    "carla_search": {
        "data.resize_px": [64, 64],
        "data.split.sizes": [0.7, 0.2, 0.1],
        "model.unet.widths": [4, 8, 8],
        "model.unet.convolutions": [1, 1, 1],
        "model.unet.decoder_widths": [8, 4],
    },
    "kitti_road_search": {"data.resize_px": [32, 64], "model.fcn.head_width": 16},
    "cityscapes_pairs_search": {},
    "demo_search": {},
    "camvid_search": {"data.resize_px": [64, 64]},
    "camvid_pretrained_search": {"data.resize_px": [64, 96]},
    "camvid_recipe_search": {"data.crop_px": [64, 64]},
    "camvid_gan_search": {
        "data.resize_px": [64, 64],
        "model.generator.depth": 4,
        "gan.width": 4,
        "gan.receptive_field_px": 16,
    },
}
"""Study -> sizes and widths in place of its base's."""


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)


def of_dataset(name, folder):
    """A sweep of two trials."""
    dataset, root = VARIANTS[name]["data.dataset"], folder / "data" / name
    write_scenes(dataset, root, train=10, val=3, test=2, size_px=(64, 96))
    values = {
        **VARIANTS[name],
        "data.root": str(root),
        "data.crop_px": [64, 64],
        "data.cache_dir": str(folder / "cache"),
        **NEEDED_VALUES.get(dataset, {}),
    }
    base = BASE.with_values(values)
    return Sweep(name=name, base=base, space=space, trials=2, storage=str(folder / "runs"), scheduler="none")


def sweep_of(study):
    return importlib.import_module(f"sweeps.{study}").SWEEP


def num_trials(sweep):
    """Those that are given, and one that is drawn."""
    return bool(sweep.recipe) + len(sweep.first_trials) + 1


def of_study(study, folder):
    """The first trials of a study, each for an epoch."""
    sweep, root = sweep_of(study), folder / "data" / study
    num_train = 48 if study == "cityscapes_pairs_search" else 20  # its largest batch is of 32
    write_scenes(sweep.base.data.dataset, root, train=num_train, val=4, size_px=(64, 64))
    values = {
        **STUDIES[study],
        "data.root": str(root),
        "data.cache_dir": str(folder / "cache"),
        "model.encoder_weights": "none",
    }
    options = {"trials": num_trials(sweep), "epochs": 1, "repeats": 0, "storage": str(folder / "runs")}
    return replace(sweep, base=sweep.base.with_values(values), **options)


class Silent:
    """A reporter that lets a trial train to its end."""

    def hand_over(self, record, final):
        return True

    def interrupted(self):
        return False


def train_here(sweep):
    """Train the given trials of a sweep that passes its checks, and one of first choices, without Ray."""
    checked = check(sweep, num_workers=1, announce=lambda line: None)
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    for number, values in enumerate([*checked.first_trials, {}]):
        point = Point(values, first_of)
        config = checked.base.with_values(draw_point(checked.space, point).values)
        trial = files.trial(folder_name(number))
        train_trial(config, trial, Silent(), log=TrialLog(trial.folder))
    return checked, files


@contextmanager
def one_cluster():
    """A cluster for all sweeps inside, of one CPU for one group, whose start is most of such a sweep."""
    # Several of the group's processes start at once.
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": {"worker_maximum_startup_concurrency": 16}}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    os.environ["RAY_ADDRESS"] = cluster.address
    yield
    cluster.shutdown()


def main(folder, kind):
    make, names = {"datasets": (of_dataset, VARIANTS), "studies": (of_study, STUDIES)}[kind]
    with one_cluster():
        for name in names:
            sweep = make(name, folder)
            judge_sweep(sweep, run_sweep(sweep))


if __name__ == "__main__":
    # The studies' own files are found from where they are called.
    sys.path.insert(0, str(Path.cwd()))
    main(Path(sys.argv[1]), sys.argv[2])
