"""Two trials on drawn scenes in the layout of every data set, one sweep after the other on one cluster.

python every_dataset.py FOLDER
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

from ray.cluster_utils import Cluster

from segray.config import RunConfig
from segray.data.datasets import DATASETS
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.tuning.sweep import Sweep, judge_sweep, run_sweep

VARIANTS = {
    **{name: {"data.dataset": name} for name in DATASETS},
    "clusters": {"data.dataset": "cityscapes_pairs", "data.pairs.labels": "kmeans", "data.pairs.num_clusters": 5},
}
"""Name of the sweep -> the data set, and what differs from its defaults."""

BASE = RunConfig().with_values(
    {"model.encoder": "tu-test_resnet", "model.encoder_weights": "none", "train.batch_size": 4, "train.epochs": 2}
)


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)


def main(folder):
    for name, variant in VARIANTS.items():
        dataset, root = variant["data.dataset"], folder / "data" / name
        write_scenes(dataset, root, train=10, val=3, test=2, size_px=(64, 96))
        values = {
            **variant,
            "data.root": str(root),
            "data.crop_px": [64, 64],
            "data.cache_dir": str(folder / "cache"),
            **NEEDED_VALUES.get(dataset, {}),
        }
        base = BASE.with_values(values)
        sweep = Sweep(name=name, base=base, space=space, trials=2, storage=str(folder / "runs"), scheduler="none")
        judge_sweep(sweep, run_sweep(sweep))


@contextmanager
def one_cluster():
    """A cluster for all sweeps inside, of one CPU for one group, whose start is most of such a sweep."""
    # Several of the group's processes start at once.
    head = {"num_cpus": 1, "_system_config": {"worker_maximum_startup_concurrency": 16}}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    os.environ["RAY_ADDRESS"] = cluster.address
    yield
    cluster.shutdown()


if __name__ == "__main__":
    with one_cluster():
        main(Path(sys.argv[1]))
