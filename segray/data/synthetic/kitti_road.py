"""Writes scenes as training/ and testing/ of KITTI Road: masks of road and ego lane in colours, several sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.cityscapes import LABELS as CITYSCAPES_LABELS
from segray.data.datasets.dataset import Split
from segray.data.datasets.kitti_road import CLASSES, NOT_EVALUATED
from segray.data.files.decode import resize_pair
from segray.data.files.encode import write_image
from segray.data.synthetic.scene import Scene
from segray.labels import IGNORE_INDEX

CATEGORIES: Final = ("um", "umm", "uu")
SIZES_PX: Final = ((375, 1242), (376, 1241), (370, 1224), (370, 1226), (374, 1238))
"""(height, width) of KITTI's photos, by day of recording; scenes vary in the same proportions"""
FIRST_NUMBER: Final[dict[Split, int]] = {"train": 0, "val": 500_000, "test": 0}
CALIBRATION: Final = "".join(
    f"{name}: {' '.join(f'{value:.12e}' for value in matrix)}\n"
    for name, matrix in (
        *((f"P{camera}", (721.5, 0, 609.6, 0, 0, 721.5, 172.9, 0, 0, 0, 1, 0)) for camera in range(4)),
        ("R0_rect", (1, 0, 0, 0, 1, 0, 0, 0, 1)),
        *(
            (f"Tr_{a}_to_{b}", (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0))
            for a, b in (("velo", "cam"), ("imu", "velo"), ("cam", "road"))
        ),
    )
)


def write_scene(root: Path, scene: Scene) -> None:
    """Write the photo and the calibration; in training/ also the road's mask, and for `um` the ego lane's mask."""
    category = CATEGORIES[scene.number % len(CATEGORIES)]
    number = f"{FIRST_NUMBER[scene.split] + scene.number // len(CATEGORIES):06d}"
    photo, label = resize_pair(scene.photo, scene.label, _size(scene))
    part = root / ("testing" if scene.split == "test" else "training")
    write_image(part / "image_2" / f"{category}_{number}.png", photo)
    calibration = part / "calib" / f"{category}_{number}.txt"
    calibration.parent.mkdir(parents=True, exist_ok=True)
    calibration.write_text(CALIBRATION, encoding="utf-8")
    if scene.split == "test":
        return
    road = label == ROAD_ID
    write_image(part / "gt_image_2" / f"{category}_road_{number}.png", _mask(road, label))
    if category == "um":
        write_image(part / "gt_image_2" / f"um_lane_{number}.png", _mask(road & _middle(road), label))


def _size(scene: Scene) -> tuple[int, int]:
    height, width = scene.label.shape
    rows, columns = SIZES_PX[scene.number % len(SIZES_PX)]
    return max(round(height * rows / SIZES_PX[0][0]), 32), max(round(width * columns / SIZES_PX[0][1]), 32)


def _mask(marked: NDArray[np.bool_], label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return colours (height, width, 3); the bonnet and a strip at the lower left are outside the evaluated area."""
    mask = np.array([CLASSES["not road"], CLASSES["road"]], np.uint8)[marked.astype(np.uint8)]
    height, width = label.shape
    mask[NO_CLASS[label]] = NOT_EVALUATED
    mask[height // 2 :, : width // 16] = NOT_EVALUATED
    return mask


def _middle(road: NDArray[np.bool_]) -> NDArray[np.bool_]:
    columns = np.arange(road.shape[1])
    return np.broadcast_to(np.abs(columns - road.shape[1] / 2) < road.shape[1] / 6, road.shape)


ROAD_ID: Final = next(label_id for label_id, name, _, _ in CITYSCAPES_LABELS if name == "road")
NO_CLASS: Final = np.isin(
    np.arange(256), [label_id for label_id, _, train_id, _ in CITYSCAPES_LABELS if train_id == IGNORE_INDEX]
)
"""Whether a Cityscapes label id is void, shape (256,)."""
