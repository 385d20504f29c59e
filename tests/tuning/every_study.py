"""The first trials of every study, shrunk, on drawn scenes in its own layout, on one cluster.

python every_study.py FOLDER
"""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

from every_dataset import one_cluster

from segray.data.synthetic import write_scenes
from segray.tuning.sweep import run_sweep

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
    "camvid_recipe_search": {"data.crop_px": [64, 64]},
    "camvid_gan_search": {
        "data.resize_px": [64, 64],
        "model.generator.depth": 4,
        "gan.width": 4,
        "gan.receptive_field_px": 16,
    },
}
"""Study -> sizes and widths in place of its base's."""


def sweep_of(study):
    return importlib.import_module(f"sweeps.{study}").SWEEP


def num_trials(sweep):
    """Those that are given, and one that is drawn."""
    return bool(sweep.recipe) + len(sweep.first_trials) + 1


def main(folder):
    for study, values in STUDIES.items():
        sweep, root = sweep_of(study), folder / "data" / study
        write_scenes(sweep.base.data.dataset, root, train=42, val=8, size_px=(64, 64))
        base = sweep.base.with_values(
            {
                **values,
                "data.root": str(root),
                "data.cache_dir": str(folder / "cache"),
                "model.encoder_weights": "none",
            }
        )
        values = {"trials": num_trials(sweep), "epochs": 1, "repeats": 0, "storage": str(folder / "runs")}
        run_sweep(replace(sweep, base=base, **values))


if __name__ == "__main__":
    # The studies' own files are found from where they are called.
    sys.path.insert(0, str(Path.cwd()))
    with one_cluster():
        main(Path(sys.argv[1]))
