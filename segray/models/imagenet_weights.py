"""ImageNet weights of an encoder as a state dict, for a file that machines without internet access read."""

from __future__ import annotations

import timm
from torch import Tensor

from segray.errors import ConfigError
from segray.models.encoder_weights import hub_location, imagenet_file, unfitting
from segray.models.normalisation import TIMM_PREFIX
from segray.models.smp import check_encoder, quiet
from segray.models.weights_file import read_weights


def find_source(encoder: str) -> str:
    """Return where an encoder's ImageNet weights come from, and their licence if timm records it.

    Raises:
        ConfigError: The encoder is unknown (the message suggests the nearest names), or has no ImageNet weights.
    """
    check_encoder(encoder)
    repository, _, _ = hub_location(encoder)
    known = timm.get_pretrained_cfg(encoder.removeprefix(TIMM_PREFIX)) if encoder.startswith(TIMM_PREFIX) else None
    licence = f", licence {known.license}" if known is not None and known.license else ""
    return f"{repository} on the Hugging Face hub{licence}"


def imagenet_weights(encoder: str) -> dict[str, Tensor]:
    """Return an encoder's ImageNet weights, from the hub's cache on this machine or else fetched.

    Args:
        encoder: An encoder that ``find_source`` knows.

    Returns:
        A state dict that ``load_encoder`` takes: SMP's, or for a ``tu-`` encoder that of timm's whole model.

    Raises:
        ConfigError: The weights cannot be fetched, or the fetched file is damaged.
    """
    path = imagenet_file(encoder, fix="run the command on a machine with internet access, and copy the folder")
    if not encoder.startswith(TIMM_PREFIX):
        return read_weights(path)
    # timm converts old layouts of its own files on loading; a weights file must fit without conversion.
    overlay = {"file": str(path), "custom_load": False}
    try:
        with quiet():
            model = timm.create_model(
                encoder.removeprefix(TIMM_PREFIX), pretrained=True, pretrained_cfg_overlay=overlay
            )
    except RuntimeError as error:
        raise ConfigError(unfitting(encoder, path, error)) from None
    return dict(model.state_dict())
