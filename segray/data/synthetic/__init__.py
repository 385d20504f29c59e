"""Drawn street scenes in the exact layout of each data set, for demos, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from segray.config import SizePx
from segray.data.datasets.cityscapes import label_space
from segray.data.datasets.dataset import SPLITS, Split
from segray.data.files.encode import new_folder
from segray.data.scenes import draw_scene
from segray.data.synthetic import camvid, carla, cityscapes, cityscapes_pairs, folder, gta5, kitti_road, train_a
from segray.data.synthetic.scene import Scene
from segray.errors import ConfigError, unknown_name

WRITERS: Final[dict[str, Callable[[Path, Scene], None]]] = {
    "cityscapes": cityscapes.write_scene,
    "cityscapes_pairs": cityscapes_pairs.write_scene,
    "camvid": camvid.write_scene,
    "carla": carla.write_scene,
    "kitti_road": kitti_road.write_scene,
    "gta5": gta5.write_scene,
    "trainA": train_a.write_scene,
    "folder": folder.write_scene,
}
"""Data set -> function that writes one scene below the root of the layout."""

NEEDED_VALUES: Final[dict[str, dict[str, object]]] = {
    "folder": {"data.folder.classes": list(label_space().names)},
}
"""Data set -> values that a config needs, besides the root, to open drawn scenes."""


def write_scenes(
    name: str,
    root: str | Path,
    *,
    train: int,
    val: int,
    test: int = 0,
    size_px: SizePx = (128, 256),
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Draw scenes, and write them in the layout of a data set.

    The folder appears whole, by one rename; the same arguments give the same files.

    Args:
        name: Name of the data set.
        root: Folder to make; missing parents are made, too.
        train: Number of training scenes, at least 1.
        val: Number of validation scenes, at least 1.
        test: Number of test scenes; a layout that is not divided holds all scenes together.
        size_px: (height, width) of the scenes, each at least 32.
        seed: Seed of the scenes.
        progress: Told how many scenes of how many are written, after each scene.

    Raises:
        ConfigError: The data set is unknown, or a number is too small.
        DataError: The folder exists already.
        StorageError: The folder cannot be written.
    """
    if name not in WRITERS:
        raise ConfigError(unknown_name("data set", name, WRITERS))
    if min(train, val) < 1 or test < 0 or min(size_px) < 32:
        raise ConfigError(
            "synthetic scenes need train >= 1, val >= 1, test >= 0 and size_px >= 32, but got "
            f"{train=}, {val=}, {test=}, {size_px=}"
        )
    with new_folder(root, "a drawn data set") as unfinished:
        counts: dict[Split, int] = {"train": train, "val": val, "test": test}
        scenes = [(split, index) for split, count in counts.items() for index in range(count)]
        for done, (split, index) in enumerate(scenes, start=1):
            rng = np.random.default_rng((seed, SPLITS.index(split), index))
            WRITERS[name](unfinished, Scene(split, index, *draw_scene(rng, size_px)))
            if progress:
                progress(done, len(scenes))
