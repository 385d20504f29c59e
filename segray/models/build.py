"""The model families by name, and the building of the model that a config names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segray.config import ModelConfig
from segray.errors import ConfigError, unknown_name
from segray.labels import Color
from segray.models.depthwise import keep_exact
from segray.models.encoder_weights import imagenet_file
from segray.models.fcn import build_fcn
from segray.models.palette import NEEDS_PALETTE, check_palette
from segray.models.pix2pix import build_pix2pix, build_unet_instance_norm
from segray.models.resnet_generator import build_resnet
from segray.models.segmentation import SegmentationModel
from segray.models.smp import build_smp
from segray.models.unet import build_unet

MODELS: dict[str, Callable[[ModelConfig, int], SegmentationModel]] = {
    "smp": build_smp,
    "fcn8s": build_fcn,
    "unet": build_unet,
    "pix2pix": build_pix2pix,
    "unet_instance_norm": build_unet_instance_norm,
    "resnet": build_resnet,
}
"""Family -> builder, called with the config and the number of output channels: one per class, or 3 for RGB."""

WITHOUT_ENCODER = frozenset({"unet", "pix2pix", "unet_instance_norm", "resnet"})
"""Families without a pretrained encoder; model.encoder has no effect on them."""


def build_model(config: ModelConfig, num_classes: int, palette: Sequence[Color] | None = None) -> SegmentationModel:
    """Build the model that a config names, on the default device, with its encoder's weights loaded.

    Args:
        config: The network; ``resolve_encoder_weights`` decides what ``encoder_weights`` "auto" means.
        num_classes: Logits per pixel.
        palette: One RGB colour (0 to 255) per class; needed only if the output is RGB.

    Raises:
        ConfigError: A name is unknown, the architecture does not take the encoder, weights cannot be fetched or loaded,
            or the output is RGB and the palette is missing or has colours that are too similar.
    """
    if config.output == "logits":
        return _build_family(config, num_classes)
    if palette is None:
        raise ConfigError(NEEDS_PALETTE.format(got="none was given"))
    assert len(palette) == num_classes, "one colour per class"
    check_palette(palette)
    model = _build_family(config, num_outputs=3)
    return SegmentationModel(
        model.network,
        model.stride,
        palette,
        min_side_px=model.min_side_px,
        normalisation=model.normalisation,
    )


def _build_family(config: ModelConfig, num_outputs: int) -> SegmentationModel:
    if config.name not in MODELS:
        raise ConfigError(unknown_name("model.name", config.name, MODELS))
    if config.encoder_weights == "auto":
        config = config.model_copy(update={"encoder_weights": resolve_encoder_weights(config)[0]})
    model = MODELS[config.name](config, num_outputs)
    keep_exact(model.network)
    return model


def resolve_encoder_weights(config: ModelConfig) -> tuple[str, str]:
    """Resolve a choice of encoder weights on this machine, so that all trials start from the same weights.

    Args:
        config: A model that passed ``check_model``.

    Returns:
        The value for ``build_model`` ("none", "imagenet" or a path), and a line for a person.

    Raises:
        ConfigError: "imagenet" cannot be fetched, or a file is missing, does not fit, or is given for a family without
            an encoder. A folder counts as the encoder's file in it.
    """
    if config.name in WITHOUT_ENCODER and config.encoder_weights not in ("none", "imagenet", "auto"):
        raise ConfigError(
            f"model.encoder_weights must be none, imagenet or auto with model.name={config.name!r}, which has no "
            f"pretrained encoder, but got {config.encoder_weights!r}"
        )
    if config.name in WITHOUT_ENCODER:
        return "none", f"encoder weights: none, {config.name} has no pretrained encoder"
    encoder, choice = config.encoder, config.encoder_weights
    if choice == "none":
        return "none", f"encoder weights: none, {encoder} starts from scratch"
    if choice not in ("auto", "imagenet"):
        # Building the model once checks that the file exists and fits the encoder.
        _build_family(config, num_outputs=1)
        return choice, f"encoder weights: {choice} for {encoder}"
    try:
        imagenet_file(encoder)
    except ConfigError as error:
        if choice == "imagenet":
            raise
        return "none", f"encoder weights: none, {encoder} starts from scratch ({error})"
    return "imagenet", f"encoder weights: ImageNet for {encoder}"
