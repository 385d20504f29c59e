"""POLICIES: how strongly training crops are augmented, by name; one albumentations pipeline serves all policies.

Photos stay uint8 RGB, because the model normalises them. The zoom is part of the crop, in `window.py`.
"""

from __future__ import annotations

import os
from typing import Final

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # albumentations reads it when imported; without it, it asks the network

import albumentations as A

from segray.config import AugmentConfig, DataConfig, SizePx
from segray.data.batches.weather import weather
from segray.data.cache.shards import Shard
from segray.errors import ConfigError, unknown_name

CUSTOM: Final = "custom"
"""The policy whose strengths are `data.augment`."""

# Half of all crops are mirrored unless a policy says otherwise.
POLICIES: Final[dict[str, AugmentConfig]] = {
    "none": AugmentConfig(mirror=0),
    "light": AugmentConfig(brightness=0.1, contrast=0.15),
    "medium": AugmentConfig(zoom=1.5, brightness=0.15, contrast=0.2, hue=0.04, saturation=0.2),
    "strong": AugmentConfig(
        zoom=2, brightness=0.2, contrast=0.35, hue=0.08, saturation=0.4, gamma=0.3, blur=0.3, noise=0.3, weather=0.2
    ),
}

POLICY_NAMES: Final = (*POLICIES, CUSTOM)

_COLOUR_PROBABILITY: Final = 0.8
"""Probability of each change of colour, below 1 so that some photos keep their colours."""


def strengths(config: DataConfig) -> AugmentConfig:
    """Return the strengths that the config's policy stands for.

    Raises:
        ConfigError: The policy is unknown.
    """
    if config.policy == CUSTOM:
        return config.augment
    if config.policy not in POLICIES:
        raise ConfigError(unknown_name("augmentation policy", config.policy, POLICY_NAMES))
    return POLICIES[config.policy]


def build_pipeline(augment: AugmentConfig, size_px: SizePx) -> A.Compose:
    """Build the pipeline of everything but the zoom.

    Args:
        augment: Strengths.
        size_px: (height, width) of the image (uint8 RGB) and the mask that the pipeline takes and returns.
    """
    transforms = [
        (augment.mirror, A.HorizontalFlip(p=augment.mirror)),
        (
            max(augment.brightness, augment.contrast),
            A.RandomBrightnessContrast(augment.brightness, augment.contrast, p=_COLOUR_PROBABILITY),
        ),
        (
            max(augment.hue, augment.saturation),
            A.ColorJitter(
                brightness=0, contrast=0, hue=augment.hue, saturation=augment.saturation, p=_COLOUR_PROBABILITY
            ),
        ),
        (augment.gamma, A.RandomGamma((70, 140), p=augment.gamma)),
        (augment.weather, A.OneOf(weather(size_px), p=augment.weather)),
        (
            augment.blur,
            A.OneOf([A.GaussianBlur(sigma_limit=(0.3, 1.5)), A.MotionBlur(blur_limit=(3, 7))], p=augment.blur),
        ),
        (augment.noise, A.GaussNoise(std_range=(0.01, 0.05), p=augment.noise)),
    ]
    return A.Compose([transform for strength, transform in transforms if strength])


def training_size(shard: Shard, crop_px: SizePx | None) -> SizePx:
    """Return (height, width) of every training image: the crop, else the common size of all images of the shard.

    Raises:
        ConfigError: The config has no crop, and the images differ in size.
    """
    size = crop_px or shard.common_size
    if size is None:
        smallest, largest = shard.sizes.min(axis=0).tolist(), shard.sizes.max(axis=0).tolist()
        raise ConfigError(
            "data.crop_px must be set if images differ in size, but it is null and (height, width) goes "
            f"from {smallest} to {largest}; set data.crop_px, or data.resize_px to give all images one size"
        )
    return size
