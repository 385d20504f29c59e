"""Checks of a model before it trains."""

from __future__ import annotations

import torch

from segray.config import ModelConfig, SizePx
from segray.errors import ConfigError
from segray.labels import distinct_colors
from segray.models.build import build_model
from segray.models.meta import ShapesOnly, without_memory
from segray.models.segmentation import SegmentationModel

_PROBE_PX: SizePx = (256, 384)


def check_model(config: ModelConfig) -> None:
    """Check that a model can be built and takes photos of any size; the encoder's weights are not checked.

    The check takes about 0.1 s and needs no network connection.

    Raises:
        ConfigError: A family, architecture or encoder is unknown (the message suggests the nearest names), the
            architecture does not take the encoder, or a family's options contradict each other.
    """
    model = meta_model(config).eval()
    failure = _find_failure(model, batch_size=1, size_px=_PROBE_PX)
    if failure:
        raise ConfigError(
            f"{model_name(config)} must segment photos of any size, but failed on {_format_size(_PROBE_PX)} px "
            f"({failure}); choose another encoder or architecture"
        )


def check_train_shape(config: ModelConfig, *, batch_size: int, size_px: SizePx) -> None:
    """Check that the model can train on one worker's batch.

    Args:
        config: A model that passed ``check_model``.
        batch_size: Images per step on one worker.
        size_px: (height, width) of the crop.

    Raises:
        ConfigError: The crop is too small for the architecture, or batch normalisation would get one value per channel.
    """
    failure = _find_failure(meta_model(config).train(), batch_size, size_px)
    if not failure:
        return
    fix = "choose a larger data.crop_px or another architecture"
    if "more than 1 value per channel" in failure:
        fix = "use at least 2 images per worker (train.batch_size is shared by all workers), or choose "
        fix += "an architecture such as Unet" if config.name == "smp" else "a larger data.crop_px"
    shape = f"{batch_size} x {_format_size(size_px)} px"
    raise ConfigError(f"{model_name(config)} cannot train on {shape} per worker ({failure}); {fix}")


def _find_failure(model: SegmentationModel, batch_size: int, size_px: SizePx) -> str | None:
    """Return the reason why a batch does not go through the model, or None if it does."""
    photos_BCHW = torch.empty(batch_size, 3, *size_px, device="meta")
    try:
        with torch.no_grad(), ShapesOnly():
            model(photos_BCHW)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0][:160]
    return None


def meta_model(config: ModelConfig, num_classes: int = 2) -> SegmentationModel:
    """Build the model on the meta device: its parameters have names and shapes, but take no memory.

    Args:
        config: The network.
        num_classes: Logits per pixel.

    Raises:
        ConfigError: The model cannot be built; see ``check_model``.
    """
    with without_memory():
        untrained = config.model_copy(update={"encoder_weights": "none"})
        return build_model(untrained, num_classes, palette=distinct_colors(num_classes))


def model_name(config: ModelConfig) -> str:
    """Return the keys that name a model, with their values, for a message."""
    if config.name != "smp":
        return f"model.name={config.name!r}"
    return f"model.arch={config.arch!r} with model.encoder={config.encoder!r}"


def _format_size(size_px: SizePx) -> str:
    return f"{size_px[0]}x{size_px[1]}"
