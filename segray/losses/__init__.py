"""The losses that training minimises; void pixels never count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from segray.config import LossConfig
from segray.losses.boundary import build_boundary
from segray.losses.cross_entropy import build_cross_entropy
from segray.losses.focal import build_focal
from segray.losses.lovasz import build_lovasz
from segray.losses.ohem import build_ohem
from segray.losses.region import build_dice, build_focal_tversky, build_jaccard, build_tversky
from segray.losses.weighted_sum import WeightedSum, parse_terms

LOSSES: dict[str, Callable[[LossConfig, Tensor], nn.Module]] = {
    "boundary": build_boundary,
    "cross_entropy": build_cross_entropy,
    "dice": build_dice,
    "focal": build_focal,
    "focal_tversky": build_focal_tversky,
    "jaccard": build_jaccard,
    "lovasz": build_lovasz,
    "ohem": build_ohem,
    "tversky": build_tversky,
}
"""Name -> builder, called with the config and the pixels of each class in the training split.

The loss that it builds maps float32 logits (B, C, H, W) and int64 labels (B, H, W) to a scalar. Void pixels (255) add
nothing to the loss or the gradient; the loss of a batch that is all void is 0.0.
"""


def check_loss(config: LossConfig) -> None:
    """Check a loss before the number of classes is known.

    Raises:
        ConfigError: A name or a setting cannot work, whatever the number of classes.
    """
    given = [value for value in (config.class_weights, config.focal_alpha) if isinstance(value, tuple)]
    num_classes = len(given[0]) if given else 1
    build_loss(config, [1] * num_classes)


def build_loss(config: LossConfig, class_pixels: Sequence[int] | np.ndarray) -> nn.Module:
    """Build the loss that a config names.

    Args:
        config: Names and settings of the losses.
        class_pixels: Pixels of each class in the training split; its length is the number of classes.

    Returns:
        A module ``(logits_BCHW, labels_BHW) -> scalar``: logits in any float dtype, int64 labels, float32 loss.

    Raises:
        ConfigError: A name is unknown, or a setting cannot work.
    """
    terms = parse_terms(config.name, LOSSES)
    pixels = torch.as_tensor(np.asarray(class_pixels), dtype=torch.float64)
    return WeightedSum([(weight, LOSSES[name](config, pixels)) for name, weight in terms.items()])
