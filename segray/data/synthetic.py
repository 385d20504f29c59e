"""Writes drawn street scenes in the exact layout of Cityscapes, for demos, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.dataset import Split
from segray.data.datasets.cityscapes import LABEL_SUFFIX, LABELS, PHOTO_SUFFIX
from segray.data.scenes import draw_scene
from segray.errors import ConfigError, DataError

COLOR_SUFFIX: Final = "_gtFine_color.png"
CITIES: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("ashford", "brookfield", "camden", "dunmore"),
    "val": ("elmstead", "fairhaven"),
}


def write_cityscapes(root: str | Path, *, train: int, val: int, size_px: SizePx = (128, 256), seed: int = 0) -> None:
    """Draw scenes and write them as leftImg8bit and gtFine (label ids and colours), split over a few cities.

    The folder appears whole, by one rename; the same arguments give the same files.

    Args:
        root: Folder to make; its parents are made too.
        train: Number of training scenes, at least 1.
        val: Number of validation scenes, at least 1.
        size_px: (height, width) of the scenes, each at least 32.
        seed: Decides what is drawn.

    Raises:
        ConfigError: A number is too small.
        DataError: The folder exists already.
    """
    if min(train, val) < 1 or min(size_px) < 32:
        raise ConfigError(
            f"synthetic scenes need train >= 1, val >= 1 and size_px >= 32, but got {train=}, {val=}, {size_px=}"
        )
    target = Path(root).expanduser().absolute()
    if target.exists():
        raise DataError(f"synthetic scenes go to a new folder, but {str(target)!r} exists; remove it or name another")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        unfinished = Path(temporary) / target.name
        counts: dict[Split, int] = {"train": train, "val": val}
        for number, (split, count) in enumerate(counts.items()):
            for index in range(count):
                rng = np.random.default_rng((seed, number, index))
                _write_scene(unfinished, split, index, *draw_scene(rng, size_px))
        unfinished.rename(target)


def _write_scene(root: Path, split: Split, index: int, photo: NDArray[np.uint8], label: NDArray[np.uint8]) -> None:
    city = CITIES[split][index % len(CITIES[split])]
    stem = f"{city}_{index // len(CITIES[split]):06d}_000019"
    for kind, suffix, image in (
        ("leftImg8bit", PHOTO_SUFFIX, photo),
        ("gtFine", LABEL_SUFFIX, label),
        ("gtFine", COLOR_SUFFIX, _PALETTE[label]),
    ):
        folder = root / kind / split / city
        folder.mkdir(parents=True, exist_ok=True)
        stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
        if not cv2.imwrite(str(folder / f"{stem}{suffix}"), stored):
            raise OSError(f"cannot write {folder / stem}{suffix}")


def _palette() -> NDArray[np.uint8]:
    """Official colours by label id, shape (256, 3)."""
    palette = np.zeros((256, 3), np.uint8)
    for label_id, _, _, color in LABELS:
        palette[label_id] = color
    return palette


_PALETTE: Final = _palette()
