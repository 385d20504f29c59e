"""POLICIES: named albumentations pipelines that end in a crop of a fixed size.

Photos stay uint8 RGB (the model normalises); label pixels that no image covers are void. A policy that zooms crops
first and resizes the crop, so a large photo is never resized as a whole. Zooms go in equal steps, as in DeepLab's
training code.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # read when albumentations is imported: else it asks the network

import albumentations as A
import cv2
import numpy as np

from segray.config import SizePx
from segray.data.shards import Shard
from segray.errors import ConfigError, unknown_name
from segray.labels import IGNORE_INDEX

# Photos are padded with the mean colour of ImageNet, which the model's normalisation turns into zeros.
_PADDING: Final[dict[str, Any]] = {"fill": (124, 116, 104), "fill_mask": IGNORE_INDEX}
_ZOOM_STEP: Final = 0.125


def none(size: SizePx) -> A.Compose:
    """A random crop, nothing else."""
    return A.Compose([_crop(size)])


def light(size: SizePx) -> A.Compose:
    """Random crop, mirror, mild brightness and contrast."""
    return A.Compose([_crop(size), A.HorizontalFlip(), A.RandomBrightnessContrast(0.15, 0.15)])


def medium(size: SizePx) -> A.Compose:
    """Zoom of 0.75 to 1.5, mirror, colour."""
    return A.Compose(
        [
            _zoomed_crop(size, 0.75, 1.5),
            A.HorizontalFlip(),
            A.RandomBrightnessContrast(0.2, 0.2),
            A.HueSaturationValue(hue_shift_limit=8, sat_shift_limit=25, val_shift_limit=0),
        ]
    )


def strong(size: SizePx) -> A.Compose:
    """Zoom of 0.5 to 2, mirror, strong colour, blur, sensor noise."""
    return A.Compose(
        [
            _zoomed_crop(size, 0.5, 2.0),
            A.HorizontalFlip(),
            A.RandomBrightnessContrast(0.35, 0.35, p=0.8),
            A.HueSaturationValue(hue_shift_limit=15, sat_shift_limit=40, val_shift_limit=0, p=0.8),
            A.RandomGamma((70, 140), p=0.3),
            A.OneOf([A.GaussianBlur(sigma_limit=(0.3, 1.5)), A.MotionBlur(blur_limit=(3, 7))], p=0.3),
            A.GaussNoise(std_range=(0.01, 0.05), p=0.3),
        ]
    )


POLICIES: Final[dict[str, Callable[[SizePx], A.Compose]]] = {
    "none": none,
    "light": light,
    "medium": medium,
    "strong": strong,
}


def build_policy(name: str, size: SizePx) -> A.Compose:
    """The named pipeline; called with image and mask it returns both at exactly `size`, (height, width).

    Raises:
        ConfigError: There is no such policy.
    """
    if name not in POLICIES:
        raise ConfigError(unknown_name("augmentation policy", name, POLICIES))
    return POLICIES[name](size)


def training_size(shard: Shard, crop_px: SizePx | None) -> SizePx:
    """(height, width) of every training image: the crop, else the size that all images of the shard have.

    Raises:
        ConfigError: There is no crop, and the images differ in size.
    """
    size = crop_px or shard.common_size
    if size is None:
        smallest, largest = shard.sizes.min(axis=0).tolist(), shard.sizes.max(axis=0).tolist()
        raise ConfigError(
            "data.crop_px must be set where images differ in size, but it is null and (height, width) goes "
            f"from {smallest} to {largest}; set data.crop_px, or data.resize_px to give all images one size"
        )
    return size


def _crop(size: SizePx) -> A.BasicTransform:
    return A.RandomCrop(*size, pad_if_needed=True, pad_position="random", **_PADDING)


def _zoomed_crop(size: SizePx, smallest: float, largest: float) -> A.OneOf:
    """A crop for each zoom, so that a window is padded by no more than what its own zoom lacks of the image."""
    resize = A.Resize(*size, mask_interpolation=cv2.INTER_NEAREST_EXACT, area_for_downscale="image")
    height, width = size
    zooms = np.arange(smallest, largest + _ZOOM_STEP / 2, _ZOOM_STEP)
    windows = [(max(round(height / zoom), 1), max(round(width / zoom), 1)) for zoom in zooms]
    return A.OneOf([A.Sequential([_crop(window), resize], p=1) for window in windows], p=1)
