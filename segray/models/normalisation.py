"""The normalisation of photos that an encoder's weights were trained with: mean and standard deviation."""

from __future__ import annotations

from typing import Annotated, Final

import timm
from pydantic import BaseModel, ConfigDict, Field

TIMM_PREFIX: Final = "tu-"

_Deviation = Annotated[float, Field(gt=0)]


class Normalisation(BaseModel):
    """The map from a photo to a network's input: (RGB in 0..1 - mean) / std, per channel."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: tuple[float, float, float]
    std: tuple[_Deviation, _Deviation, _Deviation]


IMAGENET: Final = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""ImageNet's statistics, used by most encoders and by every network that starts from scratch."""

_INCEPTION: Final = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_DPN: Final = Normalisation(mean=(124 / 255, 117 / 255, 104 / 255), std=(1 / (0.0167 * 255),) * 3)

_OF_SMP: Final = {
    "inceptionv4": _INCEPTION,
    "inceptionresnetv2": _INCEPTION,
    "xception": _INCEPTION,
    "timm-tf_efficientnet_lite": _INCEPTION,
    "dpn": _DPN,
}
"""Start of an SMP encoder's name -> the normalisation of its ImageNet weights, if it differs from ImageNet's.

SMP keeps these numbers on the hub, beside the weights. timm's `pretrained_cfg` has the same numbers for these weights.
"""


def encoder_normalisation(encoder: str, choice: str) -> Normalisation:
    """Return the normalisation that an encoder's weights were trained with.

    Args:
        encoder: Name of a known encoder.
        choice: Resolved choice of its weights: none, imagenet, or a file or folder. The weights in a file are assumed
            to have the normalisation of the encoder's ImageNet weights.
    """
    if choice == "none":
        return IMAGENET
    if encoder.startswith(TIMM_PREFIX):
        source = timm.get_pretrained_cfg(encoder.removeprefix(TIMM_PREFIX))
        return IMAGENET if source is None else Normalisation(mean=source.mean, std=source.std)
    return next((found for start, found in _OF_SMP.items() if encoder.startswith(start)), IMAGENET)
