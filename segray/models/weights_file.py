"""A state dict in a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from segray.errors import ConfigError


def read_weights(path: Path, member: BinaryIO | None = None) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file, or from a file that ``torch.load(weights_only=True)`` reads.

    Args:
        path: The file.
        member: Content to read in place of the file's own, for a file inside an archive.

    Raises:
        ConfigError: The file cannot be read, or does not hold a state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        weights: object = torch.load(member or path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigError(
            f"{str(path)!r} must hold a state dict, as written by torch.save(encoder.state_dict(), path), but is "
            "damaged or holds other objects; segray does not load those, because loading them can run code"
        ) from None
    except (OSError, EOFError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"cannot read encoder weights {str(path)!r}: {reason}") from None
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()
    ):
        raise ConfigError(f"{str(path)!r} must hold a state dict (names -> tensors), but holds something else")
    return weights
