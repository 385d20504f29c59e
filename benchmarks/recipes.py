"""Every recipe, shrunk in image size and width alone, on drawn scenes in its own layout: does it learn in minutes?

Command:        python benchmarks/recipes.py [--recipe NAME ...] [--keep FOLDER] [--pictures FOLDER]
Time:           8 minutes a recipe at most, on two cores

Loss, optimiser, schedule, batch, epochs, augmentation and discriminator are the recipe's. What is shrunk, and how many
scenes are drawn, says SHRUNK. Nothing starts from pretrained weights. Prints for each recipe its best validation mIoU
beside that of the majority class everywhere, and the curve; for K-Means labels the clusters' mIoU too. With --keep
data and runs stay in FOLDER; with --pictures a photo, its labels and their prediction are drawn for each recipe.
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import SizePx
from segray.data.synthetic import write_scenes
from segray.recipes import RECIPES
from segray.results import load
from segray.storage import SweepFiles
from segray.tuning.run.start import run_sweep
from segray.tuning.train_start import of_recipe
from segray.tuning.training_run import new_name, single_run

CURVE_POINTS = 10


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """A recipe for two cores."""

    scenes: tuple[int, int]
    """Drawn to train and to validate; a recipe that divides all images by shares does so with all of them"""
    size_px: SizePx
    """(height, width) of the scenes"""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Image sizes and widths in place of the recipe's, and shares of images in place of counts"""


SHRUNK = {
    # The widths of an EfficientNet come with its depth: B0's are 1.0 and 1.0 where B4's are 1.4 and 1.8.
    "cityscapes_smp": Shrunk(
        scenes=(160, 32), size_px=(96, 192), values={"data.crop_px": [96, 96], "model.encoder": "efficientnet-b0"}
    ),
    "carla_unet": Shrunk(
        scenes=(96, 24),
        size_px=(96, 128),
        values={
            "data.resize_px": [96, 96],
            "data.split.sizes": [0.8, 0.2, 0.0],
            "model.unet.width_multiplier": 0.25,
        },
    ),
    "kitti_fcn8s": Shrunk(
        scenes=(48, 16), size_px=(64, 208), values={"data.resize_px": [64, 208], "model.fcn.head_width": 128}
    ),
    "pairs_kmeans": Shrunk(scenes=(320, 80), size_px=(96, 96)),
    "sggan": Shrunk(scenes=(40, 10), size_px=(128, 128), values={"model.generator.width": 16, "gan.width": 16}),
    "sggan_pix2pix": Shrunk(scenes=(40, 10), size_px=(128, 128), values={"model.generator.width": 16, "gan.width": 16}),
}


def draw(sweep: SweepFiles, target: Path) -> None:
    """The first sample image: photo, labels, and what the best checkpoint makes of it, side by side."""
    best, _ = sweep.best()
    photo = next(name for name in sweep.folder.names("samples") if name.endswith("_photo.png"))
    stem = photo.removesuffix("_photo.png")
    files = [(sweep.folder, f"samples/{photo}"), (sweep.folder, f"samples/{stem}_truth.png")]
    files.append((best.folder, f"samples/{stem}_prediction.png"))
    images = [np.asarray(Image.open(io.BytesIO(folder.read_bytes(path))).convert("RGB")) for folder, path in files]
    gap = np.full((len(images[0]), 4, 3), 255, np.uint8)
    strip = np.hstack([images[0], gap, images[1], gap, images[2]])
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip).resize((2 * strip.shape[1], 2 * len(strip)), Image.Resampling.NEAREST).save(target)


def run(name: str, folder: Path, pictures: Path | None) -> str:
    """Run a shrunk recipe; returns its row of the table and its curve."""
    recipe, shrunk = RECIPES[name], SHRUNK[name]
    data = folder / "data" / name
    if not data.exists():
        train, val = shrunk.scenes
        write_scenes(recipe.dataset, data, train=train, val=val, size_px=shrunk.size_px, seed=0)
    values = {
        **shrunk.values,
        "data.root": str(data),
        "data.cache_dir": str(folder / "cache"),
        "model.encoder_weights": "none",
    }
    storage = str(folder / "runs")
    sweep = single_run(
        recipe.config.with_values(values),
        start=of_recipe(name),
        name=new_name(name, storage),
        storage=storage,
        resources=Resources(),
        limits=Limits(),
        resume=False,
    )
    started = time.perf_counter()
    files = run_sweep(sweep)
    seconds = time.perf_counter() - started
    if pictures:
        draw(files, pictures / f"recipe_{name}.png")
    results = load(f"{storage}/{sweep.name}")
    best = results.best_trial()
    assert best is not None, results.trials["reason"].tolist()
    miou = results.epochs["val_miou"].cummax()
    clusters = results.epochs["val_cluster_miou"].max()
    points = [miou.iloc[max(0, len(miou) * part // CURVE_POINTS - 1)] for part in range(1, CURVE_POINTS + 1)]
    curve = " ".join(f"{value:.2f}" for value in points)
    return (
        f"| {name} | {len(miou)} | {seconds / 60:.1f} | {best['best_val_miou']:.3f}"
        + ("" if math.isnan(clusters) else f" (clusters {clusters:.3f})")
        + f" | {results.info.majority_scores['val_miou']:.3f} | {curve} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", choices=list(RECIPES), help="one recipe; may be repeated")
    parser.add_argument("--keep", type=Path, help="where data and runs stay")
    parser.add_argument("--pictures", type=Path, help="where pictures are drawn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = [run(name, options.keep or Path(scratch), options.pictures) for name in options.recipe or RECIPES]
    print("| recipe | epochs | minutes | best val mIoU | majority class | best so far, by tenths of the epochs |")
    print("| --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
