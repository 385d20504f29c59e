"""Model families by name, and the model that a config names."""

from __future__ import annotations

from collections.abc import Callable

from segray.config import ModelConfig
from segray.errors import ConfigError, unknown_name
from segray.models.encoder_weights import imagenet_file
from segray.models.fcn import build_fcn
from segray.models.segmentation import SegmentationModel
from segray.models.smp import build_smp
from segray.models.unet import build_unet

MODELS: dict[str, Callable[[ModelConfig, int], SegmentationModel]] = {
    "smp": build_smp,
    "fcn8s": build_fcn,
    "unet": build_unet,
}
"""Family -> builder from the config and the number of classes."""

WITHOUT_ENCODER = frozenset({"unet"})
"""Families that have no pretrained encoder, to which model.encoder and model.encoder_weights mean nothing."""


def build_model(config: ModelConfig, num_classes: int) -> SegmentationModel:
    """The model that a config names, on the default device, its encoder's weights loaded.

    Args:
        config: Which network; ``encoder_weights`` "auto" is settled by ``resolve_encoder_weights``.
        num_classes: Logits per pixel.

    Raises:
        ConfigError: A name is unknown, architecture and encoder do not go together, or weights cannot be had or loaded.
    """
    if config.name not in MODELS:
        raise ConfigError(unknown_name("model.name", config.name, MODELS))
    if config.encoder_weights == "auto":
        config = config.model_copy(update={"encoder_weights": resolve_encoder_weights(config)[0]})
    return MODELS[config.name](config, num_classes)


def resolve_encoder_weights(config: ModelConfig) -> tuple[str, str]:
    """What a choice of encoder weights comes to on this machine, so that all trials start alike.

    Args:
        config: A model that ``check_model`` lets pass.

    Returns:
        The value that ``build_model`` then takes ("none", "imagenet" or a path), and a line for a person.

    Raises:
        ConfigError: "imagenet" cannot be fetched, or a file is missing or does not fit.
    """
    if config.name in WITHOUT_ENCODER:
        return "none", f"encoder weights: none, {config.name} has no pretrained encoder"
    encoder, choice = config.encoder, config.encoder_weights
    if choice == "none":
        return "none", f"encoder weights: none, {encoder} starts from scratch"
    if choice not in ("auto", "imagenet"):
        build_model(config, num_classes=1)
        return choice, f"encoder weights: {choice} for {encoder}"
    try:
        imagenet_file(encoder)
    except ConfigError as error:
        if choice == "imagenet":
            raise
        return "none", f"encoder weights: none, {encoder} starts from scratch ({error})"
    return "imagenet", f"encoder weights: ImageNet for {encoder}"
