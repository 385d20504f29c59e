"""Networks of segmentation-models-pytorch (SMP) with its own encoders and timm's."""

from __future__ import annotations

import functools
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm
from torch import nn

from segray.config import ModelConfig
from segray.errors import ConfigError, unknown_name
from segray.models.encoder_weights import encoder_file, load_encoder, unfitting
from segray.models.meta import without_memory
from segray.models.normalisation import TIMM_PREFIX, encoder_normalisation
from segray.models.segmentation import SegmentationModel

ARCHITECTURES: dict[str, type[nn.Module]] = {arch.__name__: arch for arch in smp.MODEL_ARCHITECTURES_MAPPING.values()}

MIN_SIDES_PX = {"PAN": 128}
"""Architecture -> smallest input side. PAN pools its coarsest map three times: photos up to 112 px pool to nothing."""

# One small encoder of each kind, to suggest when an architecture refuses an encoder.
_SMALL_ENCODERS = (
    "resnet18",
    "mobilenet_v2",
    "efficientnet-b0",
    "tu-mobilenetv4_conv_small",
    "tu-convnext_atto",
    "tu-swin_tiny_patch4_window7_224",
    "tu-vit_tiny_patch16_224",
)

# The exceptions of SMP and timm for an unsupported argument or an unsupported pair of architecture and encoder.
_REFUSALS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def build_smp(config: ModelConfig, num_classes: int) -> SegmentationModel:
    """Build an SMP network, with its encoder's weights loaded.

    Args:
        config: Architecture, encoder, and encoder weights: none, imagenet, or a file or folder.
        num_classes: Logits per pixel.

    Raises:
        ConfigError: The architecture or encoder is unknown, SMP refuses the pair, or the weights cannot be fetched or
            do not fit.
    """
    if config.arch not in ARCHITECTURES:
        raise ConfigError(unknown_name("model.arch", config.arch, ARCHITECTURES))
    check_encoder(config.encoder)
    path = encoder_file(config.encoder, config.encoder_weights)
    # timm converts old layouts of its own files on loading; any other file must fit without conversion.
    by_timm = config.encoder_weights == "imagenet" and config.encoder.startswith(TIMM_PREFIX)
    try:
        network = _construct(config.arch, config.encoder, num_classes, timm_file=path if by_timm else None)
    except _REFUSALS as error:
        if by_timm and path is not None and isinstance(error, RuntimeError):
            raise ConfigError(unfitting(config.encoder, path, error)) from None
        raise ConfigError(_refusal(config, error)) from None
    if path is not None and not by_timm:
        load_encoder(network.encoder, config.encoder, path)
    return SegmentationModel(
        network,
        _stride(config.arch, network),
        min_side_px=MIN_SIDES_PX.get(config.arch, 1),
        normalisation=encoder_normalisation(config.encoder, config.encoder_weights),
    )


def check_encoder(encoder: str) -> None:
    """Check that SMP or timm has an encoder.

    Raises:
        ConfigError: Neither has it; the message suggests the nearest names.
    """
    own = smp.encoders.get_encoder_names()
    if encoder in own:
        return
    name, _, tag = encoder.removeprefix(TIMM_PREFIX).partition(".")
    if not encoder.startswith(TIMM_PREFIX) or not timm.is_model(name):
        everyone = [*own, *(TIMM_PREFIX + model for model in timm.list_models())]
        raise ConfigError(unknown_name("model.encoder", encoder, everyone))
    tagged = timm.list_models(f"{name}.*", pretrained=True)
    if tag and f"{name}.{tag}" not in tagged:
        raise ConfigError(unknown_name("model.encoder", encoder, (TIMM_PREFIX + model for model in tagged)))


def _construct(arch: str, encoder: str, num_classes: int, timm_file: Path | None = None) -> Any:
    arguments: dict[str, object] = dict(_any_image_size(encoder))
    if timm_file is not None:
        arguments["pretrained_cfg_overlay"] = {"file": str(timm_file), "custom_load": False}
    # With any weights except None, SMP asks timm for pretrained weights, which timm then reads from the overlay's file.
    weights = None if timm_file is None else True
    with quiet():
        return ARCHITECTURES[arch](encoder_name=encoder, encoder_weights=weights, classes=num_classes, **arguments)


@functools.cache
def _any_image_size(encoder: str) -> dict[str, bool]:
    """Return the argument that lets a timm transformer take images of any size, if the transformer has one."""
    name = encoder.removeprefix(TIMM_PREFIX)
    source = timm.get_pretrained_cfg(name) if name != encoder else None
    if source is None or not source.fixed_input_size:
        return {}
    try:
        with without_memory(), quiet():
            timm.create_model(name, dynamic_img_size=True)
    except TypeError:
        return {}
    return {"dynamic_img_size": True}


def _stride(arch: str, network: Any) -> int:
    stride: int = network.encoder.output_stride
    # DPT halves a vision transformer's grid of 16 px patches once more, which SMP's own size check overlooks.
    return math.lcm(stride, 32) if arch == "DPT" else stride


def _refusal(config: ModelConfig, error: Exception) -> str:
    reason = (str(error).splitlines() or [""])[0][:160] or type(error).__name__
    archs = [arch for arch in ARCHITECTURES if _fits(arch, config.encoder)]
    encoders = [encoder for encoder in _SMALL_ENCODERS if _fits(config.arch, encoder)]
    advice = f"encoders that {config.arch} takes: {', '.join(encoders)}"
    if archs:
        advice += f"; architectures that take {config.encoder}: {', '.join(archs)}"
    return f"model.arch={config.arch!r} does not take model.encoder={config.encoder!r} ({reason}); {advice}"


@functools.cache
def _fits(arch: str, encoder: str) -> bool:
    try:
        with without_memory():
            _construct(arch, encoder, num_classes=1)
    except _REFUSALS:
        return False
    return True


@contextmanager
def quiet() -> Iterator[None]:
    """Silence SMP's warnings on deprecated prefixes and timm's on classifier keys: the user causes neither."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
