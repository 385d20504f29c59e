"""What can be known of a model before it trains."""

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
    """Check that a model can be built and takes photos of any size; its weights are not looked at.

    Takes about 0.1 s and needs no network.

    Raises:
        ConfigError: A family, architecture or encoder is unknown (the nearest names are given), the architecture does
            not take the encoder, or a family's own options do not go together.
    """
    model = meta_model(config).eval()
    failure = _failure(model, batch_size=1, size_px=_PROBE_PX)
    if failure:
        raise ConfigError(
            f"{_named(config)} cannot segment photos of any size, tried {_times(_PROBE_PX)} px ({failure}); "
            "choose another encoder or architecture"
        )


def check_train_shape(config: ModelConfig, *, batch_size: int, size_px: SizePx) -> None:
    """Check that one worker's training batch goes through the model.

    Args:
        config: A model that ``check_model`` lets pass.
        batch_size: Images a step on one worker.
        size_px: (height, width) of the crop.

    Raises:
        ConfigError: The crop is too small for the architecture, or batch normalisation would get one value per channel.
    """
    failure = _failure(meta_model(config).train(), batch_size, size_px)
    if not failure:
        return
    fix = "take a larger data.crop_px or another architecture"
    if "more than 1 value per channel" in failure:
        fix = "take at least 2 images per worker (train.batch_size over the workers), or "
        fix += "an architecture such as Unet" if config.name == "smp" else "a larger data.crop_px"
    shape = f"{batch_size} x {_times(size_px)} px"
    raise ConfigError(f"{_named(config)} cannot train on {shape} a worker ({failure}); {fix}")


def _failure(model: SegmentationModel, batch_size: int, size_px: SizePx) -> str | None:
    photos_BCHW = torch.empty(batch_size, 3, *size_px, device="meta")
    try:
        with torch.no_grad(), ShapesOnly():
            model(photos_BCHW)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0][:160]
    return None


def meta_model(config: ModelConfig) -> SegmentationModel:
    """The model that a config names, on the meta device: names and shapes of its parameters, without memory.

    Raises:
        ConfigError: As ``check_model`` does for what cannot be built.
    """
    with without_memory():
        return build_model(config.model_copy(update={"encoder_weights": "none"}), 2, palette=distinct_colors(2))


def _named(config: ModelConfig) -> str:
    if config.name != "smp":
        return f"model.name={config.name!r}"
    return f"model.arch={config.arch!r} with model.encoder={config.encoder!r}"


def _times(size_px: SizePx) -> str:
    return f"{size_px[0]}x{size_px[1]}"
